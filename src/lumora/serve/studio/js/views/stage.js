// The stage of Create: the group of videos that was asked for together, large, and the reel of the latest ones.
import { html, classes, computed, signal, useEffect, useSignal } from "../lib.js";
import { api } from "../api.js";
import { aspect, duration, eta, isCanceled, phase, size, status, title } from "../format.js";
import { draft, restoreVideo, snapshot, submit } from "../draft.js";
import { useVideo } from "../intake.js";
import { attempt, fail, say, toast } from "../notices.js";
import { navigate } from "../router.js";
import { addNew, isDone, isOpen, keep, preview, recent, video } from "../state.js";
import { Button } from "../ui/controls.js";
import { Forming } from "../ui/forming.js";
import { Icon } from "../ui/icons.js";
import { Moving } from "../ui/tile.js";

const REEL = 24;
const key = (item) => item.group_id ?? item.id;

const chosen = signal(null); // key of the group on the stage; null: the newest that is not old
const take = signal(null); // id of the chosen video within the group

/** Groups of the latest videos, newest first: lists of ids. */
const groups = computed(() => {
  const found = new Map();
  for (const id of recent.value) {
    const item = video(id).value;
    if (!item || (isCanceled(item) && key(item) !== chosen.value)) continue; // they stay in the library
    if (!found.has(key(item))) found.set(key(item), []);
    found.get(key(item)).push(id);
  }
  return [...found].slice(0, REEL).map(([name, ids]) => ({ name, ids: [...ids].reverse() }));
});
export const chooseGroup = (item) => {
  chosen.value = item && key(item);
  take.value = null;
};

const current = computed(() => {
  const named = groups.value.find((group) => group.name === chosen.value);
  return named ?? (chosen.value === "" ? null : groups.value[0]) ?? null;
});

/** Columns that make the cells largest on a wide stage. */
const columns = (count) => (count <= 3 ? count : count === 4 ? 2 : 4);

export function Reel() {
  if (!groups.value.length) return null;
  return html`<nav class="reel" aria-label="Latest videos">
    ${groups.value.map(({ name, ids }) => html`<${ReelItem} key=${name} name=${name} ids=${ids} />`)}
  </nav>`;
}

function ReelItem({ name, ids }) {
  const item = video(ids[0]).value;
  if (!item) return null;
  const here = current.value?.name === name;
  return html`<button
    type="button" class="reel-item" aria-current=${here ? "true" : undefined} aria-label=${`${title(item)}. ${status(item)}`}
    onClick=${() => chooseGroup(item)}
  >
    ${isDone(item) && item.urls && html`<img src=${item.urls.thumbnail} alt="" loading="lazy" />`}
    ${isOpen(item) && html`<${Forming} item=${item} />`}
    ${item.status === "failed" && html`<span class="tile-words"><${Icon} name="alert" size=${18} /></span>`}
  </button>`;
}

/** Tells screen readers about the progress, at each quarter and at the end. */
function useSpokenProgress(item) {
  const quarter = useSignal(null);
  const now = !item ? null : isOpen(item) ? `${Math.floor((item.progress ?? 0) / 25)}` : item.status;
  useEffect(() => {
    const before = quarter.value;
    quarter.value = now;
    if (before === null || now === before || !item) return;
    if (isOpen(item)) say(`${25 * Number(now)} percent done.`);
    else say(isDone(item) ? "The video is finished." : `${status(item)}. ${item.error?.message ?? ""}`);
  }, [now]);
}

function Take({ id, single, active }) {
  const item = video(id).value;
  if (!item) return null;
  return html`<article class=${classes("tile take", !single && active && "chosen", item.status === "failed" && "failed")}>
    ${isDone(item) && item.urls && html`<${Moving} item=${item} playing=${true} label=${title(item)} />`}
    ${isOpen(item) && html`<${Forming} item=${item} />`}
    ${item.status === "failed" && html`<div class="tile-words"><${Icon} name=${isCanceled(item) ? "stop" : "alert"} size=${28} /><strong>${status(item)}</strong><span>${item.error?.message}</span></div>`}
    ${single
      ? isDone(item) && html`<a class="tile-link" href=${`#/video/${id}`} aria-label="Open the video"></a>`
      : html`<button type="button" class="tile-link" aria-pressed=${active ? "true" : "false"} aria-label=${`Variation, ${status(item)}`}
          onClick=${() => (take.value = id)} onDblClick=${() => isDone(item) && navigate("video", id)}></button>`}
  </article>`;
}

export function Stage() {
  const group = current.value;
  const id = group && (group.ids.includes(take.value) ? take.value : group.ids[0]);
  const item = id ? video(id).value : null;
  useSpokenProgress(item);
  if (!item) return null;
  const count = group.ids.length;
  const cols = columns(count);
  const shape = { "--aspect": aspect(item), "--columns": cols, "--rows": Math.ceil(count / cols) };
  const glow = preview(id).value?.image ?? item.urls?.thumbnail;
  return html`<section class="stage" aria-label="On the stage">
    ${glow && html`<img class="stage-glow" src=${glow} alt="" />`}
    <div class="stage-media"><div class="takes" style=${shape}>
      ${group.ids.map((one) => html`<${Take} key=${one} id=${one} single=${count === 1} active=${one === id} />`)}
    </div></div>
    <div class="stage-caption">
      <p class="stage-prompt clamp-2">${title(item)}</p>
      <${Meta} item=${item} />
      <${Actions} item=${item} group=${group} />
    </div>
  </section>`;
}

function Meta({ item }) {
  const facts = isOpen(item)
    ? [phase(item), eta(item.eta_seconds)]
    : [size(item.made?.size ?? item.size), duration(item.made?.seconds ?? item.seconds), `Seed ${item.seed}`];
  return html`<div class="stage-meta">
    ${facts.filter(Boolean).map((fact) => html`<span key=${fact}>${fact}</span>`)}
    ${item.warnings?.map((warning) => html`<span key=${warning} class="clamp-1">${warning}</span>`)}
  </div>`;
}

/** The same request again, with another seed. The form keeps what the user is writing. */
export async function reroll(item) {
  const before = snapshot();
  try {
    restoreVideo(item, { seed: null });
    draft.n.value = 1;
    const items = await submit();
    addNew(items);
    chooseGroup(items[0]);
  } finally {
    before();
  }
}

function Actions({ item, group }) {
  const cancelAll = () => attempt(async () => {
    const open = group.ids.map((id) => video(id).value).filter(isOpen);
    for (const one of open) keep(await api.cancel(one.id));
  });
  const keepSeed = () => (restoreVideo(item), toast("Its settings and its seed are in the form."));
  if (isOpen(item)) {
    return html`<div class="stage-actions"><${Button} icon="stop" kind="quiet" label="Cancel" onClick=${cancelAll}>Cancel<//></div>`;
  }
  const again = ["shots", "cut"].includes(item.task) ? null : () => reroll(item).catch(fail);
  return html`<div class="stage-actions">
    ${again && html`<${Button} icon="dice" kind="quiet" label="Re-roll" onClick=${again}>Re-roll<//>`}
    ${isDone(item) && html`
      <${Button} icon="lock" kind="quiet" label="Keep seed" onClick=${keepSeed}>Keep seed<//>
      <${Button} icon="remix" kind="quiet" label="Remix" onClick=${() => useVideo(item, "remix")}>Remix<//>
      <${Button} icon="forward" kind="quiet" label="Extend" onClick=${() => useVideo(item, "forward")}>Extend<//>
      <${Button} icon="loop" kind="quiet" label="Loop" onClick=${() => useVideo(item, "loop")}>Loop<//>
      <${Button} icon="next" kind="quiet" label="Open" onClick=${() => navigate("video", item.id)}>Open<//>`}
  </div>`;
}
