// One video: player, prompt, settings, everything that can be done with it.
import { html, useEffect, useSignal } from "../lib.js";
import { api } from "../api.js";
import { aspect, day, duration, eta, phase, size, status, task, title } from "../format.js";
import { chooseGroup, reroll } from "./stage.js";
import { useDrop } from "../drop.js";
import { restoreVideo } from "../draft.js";
import { takeFiles, useVideo } from "../intake.js";
import { restoreBoard } from "./board_state.js";
import { attempt, ask, fail, toast } from "../notices.js";
import { link, navigate, previous } from "../router.js";
import { isDone, isOpen, keep, library, loadVideo, recent, video } from "../state.js";
import { ComplaintDialog } from "../ui/complaint.js";
import { Button, Empty } from "../ui/controls.js";
import { Forming } from "../ui/forming.js";
import { Icon } from "../ui/icons.js";
import { Player } from "../ui/player.js";
import { MenuItem, Popover } from "../ui/popover.js";
import { toggleFavorite } from "../ui/tile.js";
import { Downloads, USES } from "../ui/video_menu.js";
import { openInEditor } from "./recut_state.js";

function neighbors(id) {
  const ids = library.value.ids.length ? library.value.ids : recent.value;
  const here = ids.indexOf(id);
  return here < 0 ? {} : { before: ids[here - 1], after: ids[here + 1] };
}

export function Detail({ id }) {
  const item = video(id).value;
  useDrop("Drop it to use it in a video", takeFiles);
  useEffect(() => {
    loadVideo(id).catch(fail);
  }, [id]);
  useEffect(() => {
    const keys = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog, [popover]")) return;
      const { before, after } = neighbors(id);
      if (event.key === "ArrowLeft" && before) navigate("video", before);
      else if (event.key === "ArrowRight" && after) navigate("video", after);
      else if (event.key === "Escape") navigate(previous.value === "video" ? "library" : previous.value);
      else if (event.key === "f" && isDone(video(id).value)) toggleFavorite(video(id).value);
    };
    addEventListener("keydown", keys);
    return () => removeEventListener("keydown", keys);
  }, [id]);

  if (item === undefined) {
    return html`<div class="page detail" role="status"><div class="skeleton detail-wait"></div><div class="skeleton detail-wait"></div><span class="visually-hidden">Loading</span></div>`;
  }
  if (item === null) {
    return html`<div class="page"><${Empty} icon="film" title="This video is gone" action=${html`<a class="button" href=${link("library")}>Go to the library</a>`}>
      It was deleted, or it has expired.<//></div>`;
  }
  return html`<div class="page detail" key=${id}>
    <div class="detail-main">
      <${Top} id=${id} />
      ${isDone(item) && item.urls ? html`<${Player} key=${id} item=${item} />` : html`<${Unfinished} item=${item} />`}
    </div>
    <aside class="detail-side" aria-label="About this video">
      <${About} item=${item} />
      ${isDone(item) && html`<${Actions} item=${item} />`}
      <${Facts} item=${item} />
    </aside>
  </div>`;
}

function Top({ id }) {
  const { before, after } = neighbors(id);
  const to = (other, icon, label) => other
    ? html`<a class="button icon quiet" href=${link("video", other)} aria-label=${label}><${Icon} name=${icon} /></a>`
    : html`<span class="button icon quiet ghost" aria-hidden="true"><${Icon} name=${icon} /></span>`;
  return html`<div class="row detail-top">
    <a class="button quiet" href=${link(previous.value)}><${Icon} name="back" size=${18} /><span>Back</span></a>
    <span class="spacer"></span>
    ${to(before, "back", "The video before this one")}${to(after, "next", "The video after this one")}
  </div>`;
}

function Unfinished({ item }) {
  const cancel = () => attempt(async () => keep(await api.cancel(item.id)));
  return html`<div class="unfinished">
    <div class=${`tile ${item.status === "failed" ? "failed" : ""}`} style=${{ aspectRatio: Math.max(aspect(item), 1) }}>
      ${isOpen(item) && html`<${Forming} item=${item} />`}
      ${item.status === "failed" && html`<div class="tile-words"><${Icon} name="alert" size=${32} /><strong>${status(item)}</strong><span>${item.error?.message}</span></div>`}
    </div>
    <div class="row wrap">
      ${isOpen(item) && html`<span class="muted numbers">${phase(item)} ${eta(item.eta_seconds)}</span>
        <span class="spacer"></span><${Button} icon="stop" onClick=${cancel}>Cancel<//>`}
      ${item.status === "failed" && html`<${Button} icon="restore" onClick=${() => useSettings(item)}>Try again with changes<//>
        <${Button} icon="trash" kind="danger" onClick=${() => removeVideo(item)}>Delete<//>`}
    </div>
  </div>`;
}

function About({ item }) {
  const editing = useSignal(false);
  const save = (event) => {
    event.preventDefault();
    editing.value = false;
    const text = event.target.elements.title.value.trim();
    attempt(async () => keep(await api.change(item.id, { title: text })));
  };
  return html`<div class="about">
    ${editing.value
      ? html`<form class="row" onSubmit=${save}><input class="input" name="title" maxlength="200" aria-label="Title" value=${item.title ?? ""} /><button class="button primary">Save</button></form>`
      : html`<h1 class="detail-title">${item.title || html`<span class="visually-hidden">${title(item)}</span>`}</h1>`}
    <p class="detail-prompt">${item.prompt}</p>
    ${item.revised_prompt && html`<p class="small muted">Expanded: ${item.revised_prompt}</p>`}
    <${Shots} item=${item} />
    <div class="row">
      <${Button} icon="heart" kind="heart-filter" aria-pressed=${item.favorite ? "true" : "false"} onClick=${() => toggleFavorite(item)}>Favorite<//>
      <${Button} icon="edit" kind="quiet" onClick=${() => (editing.value = !editing.value)}>${item.title ? "Rename" : "Add a title"}<//>
    </div>
    <${Tags} item=${item} />
  </div>`;
}

function useSettings(item) {
  if (item.request?.shots?.length) {
    restoreBoard({ shots: item.request.shots, size: item.size, seed: item.seed });
    navigate("storyboard");
    return;
  }
  restoreVideo(item);
  navigate("create");
}

function Shots({ item }) {
  const shots = item.request?.shots ?? [];
  if (!shots.length) return null;
  return html`<ol class="shot-list">${shots.map((shot, i) => html`<li key=${i}><span class="muted numbers">${duration(shot.seconds)}</span> ${shot.prompt}</li>`)}</ol>`;
}

function Tags({ item }) {
  const text = useSignal("");
  const change = (tags) => attempt(async () => keep(await api.change(item.id, { tags })));
  const add = (event) => {
    event.preventDefault();
    const name = text.value.trim();
    text.value = "";
    if (name && !item.tags.includes(name)) change([...item.tags, name]);
  };
  return html`<form class="tags" onSubmit=${add}>
    ${(item.tags ?? []).map((name) => html`<span class="tag" key=${name}>${name}
      <button type="button" class="tag-remove" aria-label=${`Remove the tag ${name}`} onClick=${() => change(item.tags.filter((other) => other !== name))}><${Icon} name="close" size=${12} /></button></span>`)}
    <input class="tag-input" aria-label="Add a tag" placeholder="Add a tag" maxlength="60" value=${text.value} onInput=${(event) => (text.value = event.target.value)} />
  </form>`;
}

async function removeVideo(item) {
  const sure = await ask("Delete this video?", { text: "The file and its record are removed. This cannot be undone.", confirm: "Delete", danger: true });
  if (!sure) return;
  await attempt(async () => {
    await api.deleteVideo(item.id);
    toast("The video was deleted.");
    navigate("library");
  });
}

function Actions({ item }) {
  const reporting = useSignal(false);
  const again = () => {
    navigate("create");
    chooseGroup(item);
    reroll(item).catch(fail);
  };
  return html`<div class="detail-actions">
    ${USES.map(([role, icon, text]) => html`<${Button} key=${role} icon=${icon} onClick=${() => useVideo(item, role)}>${text}<//>`)}
    <${Button} icon="cut" onClick=${() => openInEditor(item)}>Re-cut<//>
    <${Button} icon="dice" onClick=${again}>Re-roll<//>
    <${Popover} menu name="Download" className="button" label=${html`<${Icon} name="download" size=${18} /><span>Download</span>`}>
      ${(close) => html`<${Downloads} item=${item} close=${close} />`}
    <//>
    <${Popover} menu name="More actions" className="button" label=${html`<${Icon} name="more" size=${18} /><span>More</span>`}>
      ${(close) => html`
        <${MenuItem} icon="restore" onClick=${() => (close(), useSettings(item))}>Use its settings<//>
        <${MenuItem} icon="provenance" onClick=${() => (close(), navigate("provenance", item.id))}>Check its provenance<//>
        <${MenuItem} icon="flag" onClick=${() => (close(), (reporting.value = true))}>Report<//>
        <${MenuItem} icon="trash" danger onClick=${() => (close(), removeVideo(item))}>Delete<//>`}
    <//>
    ${reporting.value && html`<${ComplaintDialog} title="Report this video" label="What is wrong with it?" send=${(body) => api.report(item.id, body)} onClose=${() => (reporting.value = false)} />`}
  </div>`;
}

function Facts({ item }) {
  const made = item.made ?? {};
  const facts = [
    ["Made", task(item.task)],
    ["Size", made.size && made.size !== item.size ? `${size(made.size)}, asked for ${size(item.size)}` : size(made.size ?? item.size)],
    ["Length", made.num_frames ? `${duration(made.seconds)}, ${made.num_frames} frames at ${made.fps} a second` : duration(item.seconds)],
    ["Seed", String(item.seed)],
    ["Steps", item.request?.num_inference_steps],
    ["Guidance", item.request?.guidance_scale],
    ["Negative prompt", item.request?.negative_prompt],
    ["Model", item.model],
    ["Created", day(item.created_at)],
    ["Kept until", day(item.expires_at)],
  ].filter(([, value]) => value);
  return html`
    ${item.warnings?.length > 0 && html`<ul class="note">${item.warnings.map((text) => html`<li key=${text}>${text}</li>`)}</ul>`}
    <dl class="facts">
      ${facts.map(([name, value]) => html`<dt key=${name}>${name}</dt><dd>${value}</dd>`)}
      ${item.parent_video_ids?.length > 0 && html`<dt>Made from</dt><dd>${item.parent_video_ids.map((id) => html`<a href=${link("video", id)} key=${id}>${title(video(id).value ?? { prompt: id })}</a> `)}</dd>`}
    </dl>`;
}
