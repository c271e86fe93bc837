// A video in a grid: picture first, plays on hover and on focus.
import { html, classes, useRef, useSignal } from "../lib.js";
import { api } from "../api.js";
import { aspect, duration, eta, isCanceled, status, title } from "../format.js";
import { attempt } from "../notices.js";
import { link } from "../router.js";
import { isDone, isOpen, keep, video } from "../state.js";
import { Forming } from "./forming.js";
import { Icon } from "./icons.js";
import { VideoMenu } from "./video_menu.js";

export function toggleFavorite(item) {
  keep({ ...item, favorite: !item.favorite });
  return attempt(async () => {
    try {
      keep(await api.change(item.id, { favorite: !item.favorite }));
    } catch (error) {
      keep(item);
      throw error;
    }
  });
}

/** A video element that shows the thumbnail until it plays. */
export function Moving({ item, playing, label }) {
  const shown = useSignal(false);
  return html`
    <img src=${item.urls.thumbnail} alt="" loading="lazy" decoding="async" />
    ${playing &&
    html`<video
      class=${shown.value ? "on" : ""} src=${item.urls.video} muted loop autoplay playsinline preload="auto" aria-label=${label}
      onPlaying=${() => (shown.value = true)} tabindex="-1"
    ></video>`}
  `;
}

/** `onOpen` replaces the link to the video's page. */
export function Tile({ id, onOpen, label }) {
  const item = video(id).value;
  const playing = useSignal(false);
  const timer = useRef(0);
  if (!item) return null;
  const start = () => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => (playing.value = true), 80);
  };
  const stop = () => {
    clearTimeout(timer.current);
    playing.value = false;
  };
  const name = label ?? `${title(item)}. ${status(item)}${item.seconds ? `, ${duration(item.made?.seconds ?? item.seconds)}` : ""}`;
  return html`<article
    class=${classes("tile", item.status === "failed" && "failed", isCanceled(item) && "canceled")} style=${{ aspectRatio: aspect(item) }}
    onPointerEnter=${start} onPointerLeave=${stop} onFocusIn=${start} onFocusOut=${stop}
  >
    ${isDone(item) && item.urls && html`<${Moving} item=${item} playing=${playing.value} label=${title(item)} />`}
    ${isOpen(item) && html`<${Forming} item=${item} /><span class="tile-badge">${item.status === "queued" ? "Waiting" : `${item.progress} %`}</span>`}
    ${item.status === "failed" &&
    html`<div class="tile-words"><${Icon} name=${isCanceled(item) ? "stop" : "alert"} /><span>${status(item)}</span><span class="clamp-2">${title(item)}</span></div>`}
    ${item.status !== "failed" &&
    html`<div class="tile-shade"><span class="clamp-2">${isOpen(item) ? eta(item.eta_seconds) || title(item) : title(item)}</span></div>`}
    ${onOpen
      ? html`<button type="button" class="tile-link" aria-label=${name} onClick=${() => onOpen(item)}></button>`
      : html`<a class="tile-link" href=${link("video", id)} aria-label=${name}></a>`}
    ${isDone(item) && !onOpen &&
    html`<${VideoMenu} item=${item} name=${title(item)} /><button
      type="button" class="tile-button tile-heart" aria-label="Favorite" aria-pressed=${item.favorite ? "true" : "false"} onClick=${() => toggleFavorite(item)}
    ><${Icon} name="heart" /></button>`}
  </article>`;
}
