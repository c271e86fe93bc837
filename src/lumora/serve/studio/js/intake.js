// A dropped file is uploaded, and the user chooses what it does in the request.
import { html, signal, useSignal } from "./lib.js";
import { api } from "./api.js";
import { ROLES, addInput, can, draft, fromFile, fromVideo, restore, shownSeconds } from "./draft.js";
import { bytes, duration } from "./format.js";
import { attempt, say, toast } from "./notices.js";
import { navigate } from "./router.js";
import { restoreBoard } from "./views/board_state.js";
import { Dialog } from "./ui/dialog.js";
import { Amount } from "./ui/controls.js";

/** The file that waits for the user's choice: {name, bytes, kind, file (once uploaded), recipe}. */
const pending = signal(null);

const CHOICES = [
  ["start", "image", "The video begins with it."],
  ["end", "last_image", "The video ends with it."],
  ["at", "keyframes", "The video passes through it."],
  ["forward", "extend", "Goes on where it ends."],
  ["backward", "extend_backward", "Leads up to where it begins."],
  ["edit", "edit", "Changes what you describe, keeps the rest."],
  ["loop", "loop", "Its end leads back to its start."],
];
const VIDEO_ONLY = ["forward", "backward", "edit", "loop"];

/** What the signed record in a file says of its request, or null. */
export function recipeOf(check) {
  const manifest = check?.manifest ?? check;
  if (!manifest || !["trusted", "intact", "expired", "valid"].includes(manifest.state)) return null;
  return manifest.request ?? (manifest.prompt ? { prompt: manifest.prompt, seed: manifest.seed } : null);
}

export async function takeFiles(files) {
  const [file] = files;
  if (files.length > 1) toast("One file at a time: the first one is used.");
  const kind = file.type.startsWith("image") ? "image" : "video";
  pending.value = { name: file.name, bytes: file.size, kind, file: null, recipe: null };
  const uploaded = await attempt(() => api.upload(file));
  if (!uploaded) {
    pending.value = null;
    return;
  }
  if (!pending.value) return; // closed while it was uploaded
  pending.value = { ...pending.value, kind: uploaded.kind, file: uploaded, recipe: recipeOf(uploaded.provenance) };
  say("The file is uploaded. Choose what it does.");
}

function use(role, at = 0) {
  addInput({ ...fromFile(pending.value.file, role), at });
  pending.value = null;
  navigate("create");
}

export function useRecipe(recipe) {
  pending.value = null;
  if (recipe.shots?.length) {
    restoreBoard(recipe);
    navigate("storyboard");
  } else {
    restore(recipe);
    navigate("create");
  }
  toast("The file's settings are in the form.");
}

/** Uses a finished video for the next request. */
export function useVideo(item, role, extra = {}) {
  addInput({ ...fromVideo(item, role), ...extra });
  if (["remix", "edit"].includes(role)) draft.prompt.value = role === "remix" ? item.prompt ?? "" : "";
  if (["forward", "backward", "loop", "connect"].includes(role)) draft.seconds.value = null;
  navigate("create");
}

export function IntakeDialog() {
  const item = pending.value;
  const at = useSignal(1);
  if (!item) return null;
  const choices = CHOICES.filter(([role, task]) => can.value.can(task) && (item.kind === "video" || !VIDEO_ONLY.includes(role)));
  const close = () => (pending.value = null);
  return html`<${Dialog} title=${item.file ? "What should it do?" : "Uploading…"} onClose=${close}>
    <p class="muted small">
      ${item.name} · ${bytes(item.bytes)}${item.file?.width ? ` · ${item.file.width} × ${item.file.height}` : ""}${item.file?.seconds ? ` · ${duration(item.file.seconds)}` : ""}
    </p>
    ${!item.file && html`<div class="skeleton intake-wait" role="status"><span class="visually-hidden">Uploading</span></div>`}
    ${item.file && html`<div class="stack intake">
      ${item.recipe && html`<button type="button" class="option found" onClick=${() => useRecipe(item.recipe)}>
        <strong>Restore its settings</strong><span>It was made with lumora: “${item.recipe.prompt}”</span>
      </button>`}
      <div class="options">
        ${choices.map(([role, , text]) => html`<button type="button" class="option" key=${role} onClick=${() => use(role, at.value)}>
          <strong>${ROLES[role].name}</strong><span>${text}</span>
        </button>`)}
      </div>
      <${Amount}
        label="Second for “Frame at a second”" unit="seconds" value=${at.value} min=${0} max=${shownSeconds.value} step=${0.25}
        onChange=${(value) => (at.value = value)}
      />
    </div>`}
  <//>`;
}
