// Keys that work everywhere. They are off while the user writes.
import { html, signal } from "./lib.js";
import { navigate } from "./router.js";
import { Dialog } from "./ui/dialog.js";

export const helpOpen = signal(false);

const PLACES = { c: "create", l: "library", s: "storyboard", q: "queue", p: "provenance", r: "review", ",": "settings" };
const AFTER_G_MS = 1200;

const KEYS = [
  ["Everywhere", [["g then c, l, s, q, p", "Create, Library, Storyboard, Queue, Provenance"], ["/", "Search, or the prompt"], ["?", "This list"], ["Esc", "Close what is open"]]],
  ["Create", [["Ctrl ↵", "Make the video"], ["Ctrl V", "Paste an image"]]],
  ["A video", [["Space", "Play or pause"], [", and .", "One frame back or forward"], ["m", "Sound on or off"], ["f", "Favorite"], ["← and →", "The video before or after it"]]],
  ["Time line", [["← and →", "Move a cut by a quarter of a second"], ["Shift ← and →", "Move it by one second"], ["s", "Split at the play head"], ["Delete", "Remove the part"]]],
];

const writing = (target) => target.closest?.("input:not([type=range], [type=checkbox], [type=radio]), textarea, select, [contenteditable], dialog");

let leader = 0;

export function listenForShortcuts() {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || writing(event.target)) return;
    if (Date.now() - leader < AFTER_G_MS && PLACES[event.key]) {
      leader = 0;
      event.preventDefault();
      navigate(PLACES[event.key]);
    } else if (event.key === "g") {
      leader = Date.now();
    } else if (event.key === "/") {
      const field = document.querySelector("[data-search]") ?? document.getElementById("prompt");
      if (!field) return;
      event.preventDefault();
      field.focus();
    } else if (event.key === "?") {
      helpOpen.value = true;
    }
  });
}

export function Help() {
  if (!helpOpen.value) return null;
  return html`<${Dialog} title="Keys" onClose=${() => (helpOpen.value = false)}>
    <div class="stack">
      ${KEYS.map(([place, keys]) => html`<section key=${place}>
        <h3>${place}</h3>
        <dl class="facts keys">${keys.map(([key, text]) => html`<dt key=${key}><kbd>${key}</kbd></dt><dd>${text}</dd>`)}</dl>
      </section>`)}
    </div>
  <//>`;
}
