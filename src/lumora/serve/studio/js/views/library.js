// Library: all videos, with search and filters; more are loaded while the user scrolls.
import { html, signal, stored, useEffect, useRef } from "../lib.js";
import { aspect, task as taskName } from "../format.js";
import { useDrop } from "../drop.js";
import { takeFiles } from "../intake.js";
import { link } from "../router.js";
import { library, loadLibrary, video } from "../state.js";
import { Button, Empty } from "../ui/controls.js";
import { Icon } from "../ui/icons.js";
import { Tile } from "../ui/tile.js";

const STATUSES = [
  ["", "All"],
  ["completed", "Finished"],
  ["in_progress", "Being made"],
  ["queued", "Waiting"],
  ["failed", "Failed"],
];
/** Values of the field `task` of a video. */
const JOB_TASKS = ["text", "image", "shots", "extend", "extend_backward", "infill", "connect", "loop", "edit", "remix", "cut"];
const TYPING_MS = 250;

const search = signal("");
const status = signal("");
const task = signal("");
const tag = signal("");
const favorite = signal(false);
/** Tags that were seen, for the filter. */
export const seenTags = stored("lumora.tags", []);

function filters() {
  return { q: search.value.trim(), status: status.value, task: task.value, tag: tag.value, favorite: favorite.value ? "true" : "" };
}

function clear() {
  search.value = status.value = task.value = tag.value = "";
  favorite.value = false;
}

function Filters() {
  return html`<form class="filters" role="search" onSubmit=${(event) => event.preventDefault()}>
    <div class="search">
      <${Icon} name="search" size=${18} />
      <input class="input" type="search" data-search placeholder="Search prompts and titles" aria-label="Search prompts and titles" value=${search.value} onInput=${(event) => (search.value = event.target.value)} />
    </div>
    <select class="input" aria-label="Status" value=${status.value} onChange=${(event) => (status.value = event.target.value)}>
      ${STATUSES.map(([value, text]) => html`<option value=${value} key=${value}>${value ? text : "Any status"}</option>`)}
    </select>
    <select class="input" aria-label="Kind" value=${task.value} onChange=${(event) => (task.value = event.target.value)}>
      <option value="">Any kind</option>
      ${JOB_TASKS.map((value) => html`<option value=${value} key=${value}>${taskName(value)}</option>`)}
    </select>
    ${seenTags.value.length > 0 && html`<select class="input" aria-label="Tag" value=${tag.value} onChange=${(event) => (tag.value = event.target.value)}>
      <option value="">Any tag</option>
      ${seenTags.value.map((name) => html`<option value=${name} key=${name}>${name}</option>`)}
    </select>`}
    <${Button} icon="heart" kind="heart-filter" aria-pressed=${favorite.value ? "true" : "false"} onClick=${() => (favorite.value = !favorite.value)}>Favorites<//>
  </form>`;
}

/** Loads the next page when the end of the list comes near. */
function More() {
  const mark = useRef(null);
  useEffect(() => {
    const watch = new IntersectionObserver(([entry]) => entry.isIntersecting && loadLibrary(), { rootMargin: "600px" });
    watch.observe(mark.current);
    return () => watch.disconnect();
  }, [library.value.ids.length]);
  return html`<div ref=${mark} class="more">
    <${Button} onClick=${() => loadLibrary()}>Show more<//>
  </div>`;
}

export function Gallery({ ids }) {
  return html`<ul class="gallery">
    ${ids.map((id) => html`<li class="gallery-item" key=${id} style=${{ "--ratio": aspect(video(id).value) }}><${Tile} id=${id} /></li>`)}
    <li class="gallery-rest" aria-hidden="true"></li>
  </ul>`;
}

export function Library() {
  useDrop("Drop it to restore its settings or to use it", takeFiles);
  const { ids, more, loading, error } = library.value;
  const wanted = filters();
  const signature = JSON.stringify(wanted);
  const first = useRef(true);
  useEffect(() => {
    const timer = setTimeout(() => loadLibrary(wanted), first.current ? 0 : TYPING_MS);
    first.current = false;
    return () => clearTimeout(timer);
  }, [signature]);
  useEffect(() => {
    const names = ids.flatMap((id) => video(id).value?.tags ?? []);
    const all = [...new Set([...seenTags.value, ...names])].sort();
    if (all.length !== seenTags.value.length) seenTags.value = all;
  }, [ids]);
  const filtered = Object.values(wanted).some(Boolean);

  return html`<div class="page">
    <header class="page-head"><div class="gallery-title"><h1>Library</h1></div><${Filters} /></header>
    <div aria-live="polite" class="visually-hidden">${loading ? "Loading" : `${ids.length}${more ? " or more" : ""} videos`}</div>
    ${error && html`<p class="note bad">${error}</p>`}
    <${Gallery} ids=${ids} />
    ${loading && html`<div class="gallery">${[1, 1.6, 0.8, 1, 1.4, 1].map((ratio, i) => html`<div class="skeleton gallery-item" key=${i} style=${{ "--ratio": ratio }}></div>`)}</div>`}
    ${!loading && more && html`<${More} />`}
    ${!loading && !ids.length && !error &&
    (filtered
      ? html`<${Empty} icon="search" title="Nothing fits" action=${html`<${Button} onClick=${clear}>Clear the filters<//>`}>No video fits this search and these filters.<//>`
      : html`<${Empty} icon="film" title="Your videos will be here" action=${html`<a class="button primary" href=${link("create")}>Make the first one</a>`}>
          They stay here after a reload and after a restart. Drop a file that was made with lumora to get its settings back.<//>`)}
  </div>`;
}
