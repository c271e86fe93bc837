// A dialog that lets the user choose one finished video.
import { html, useEffect, useSignal } from "../lib.js";
import { api } from "../api.js";
import { attempt } from "../notices.js";
import { keep } from "../state.js";
import { Dialog } from "./dialog.js";
import { Tile } from "./tile.js";

export function PickVideo({ title, onPick, onClose }) {
  const ids = useSignal(null);
  const search = useSignal("");
  useEffect(() => {
    const timer = setTimeout(async () => {
      const page = await attempt(() => api.videos({ limit: 24, status: "completed", q: search.value }));
      if (!page) return;
      page.data.forEach(keep);
      ids.value = page.data.map((item) => item.id);
    }, 150);
    return () => clearTimeout(timer);
  }, [search.value]);
  return html`<${Dialog} title=${title} onClose=${onClose} wide>
    <input class="input" type="search" placeholder="Search prompts" aria-label="Search prompts" value=${search.value} onInput=${(event) => (search.value = event.target.value)} />
    <div class="pick-grid">
      ${ids.value === null && [1, 2, 3, 4].map((key) => html`<div class="skeleton pick-wait" key=${key}></div>`)}
      ${ids.value?.map((id) => html`<${Tile} key=${id} id=${id} onOpen=${onPick} />`)}
    </div>
    ${ids.value?.length === 0 && html`<p class="muted">No finished video fits.</p>`}
  <//>`;
}
