// Settings: theme, models, limits, keys.
import { html, signal } from "../lib.js";
import { api, signInNeeded } from "../api.js";
import { bytes, duration, size, task } from "../format.js";
import { capabilities } from "../capabilities.js";
import { disconnect } from "../events.js";
import { attempt } from "../notices.js";
import { hasScope, isOpenServer, models, ready, session, settings } from "../state.js";
import { Button, Choice } from "../ui/controls.js";
import { Keys } from "./keys.js";

const THEMES = [["system", "Like the system"], ["light", "Light"], ["dark", "Dark"]];
const theme = signal(localStorage.getItem("lumora.theme") ?? "system");

function chooseTheme(name) {
  theme.value = name;
  localStorage.setItem("lumora.theme", name);
  if (name === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
}

function Model({ model }) {
  const can = capabilities(model.id);
  const sizes = [size(`${can.width}x${can.height}`), `sides of ${can.min_side} to ${can.max_side}`].join(", ");
  return html`<li class="panel stack">
    <div class="row wrap"><h3>${model.id}</h3><span class="tag">${model.license ?? can.license ?? "License unknown"}</span></div>
    <dl class="facts">
      <dt>Pixels</dt><dd>${sizes}</dd>
      <dt>Length</dt><dd>${duration(can.seconds)} by default, up to ${duration(can.max_seconds)}</dd>
      <dt>Frames a second</dt><dd>${can.fps} by default, up to ${can.max_fps}</dd>
      <dt>Steps</dt><dd>${can.num_inference_steps} by default</dd>
    </dl>
    ${can.tasks.length > 0 && html`<div class="chips" role="group" aria-label="What it can do">${can.tasks.map((name) => html`<span class="tag" key=${name}>${task(name)}</span>`)}</div>`}
  </li>`;
}

const LIMITS = {
  max_queued_jobs: "Waiting jobs",
  max_jobs_per_key: "Open jobs of a key",
  max_body_bytes: "Size of a request",
  max_upload_bytes: "Size of an upload",
  max_upload_pixels: "Pixels of an uploaded picture",
  max_upload_seconds: "Length of an upload",
  max_upload_tracks: "Tracks of an upload",
  max_files_per_key: "Uploads of a key",
  expire_uploads_after_hours: "Uploads are kept for",
  expire_after_hours: "Videos are kept for",
};

/** A limit's name and value in words; the unit is the end of its name. */
function limit([name, value]) {
  const words = LIMITS[name] ?? name.replaceAll("_", " ");
  if (value === null) return [words, "No limit"];
  if (name.endsWith("bytes")) return [words, bytes(value)];
  if (name.endsWith("seconds")) return [words, duration(value)];
  if (name.endsWith("hours")) return [words, `${value} h`];
  return [words, Number(value).toLocaleString()];
}

async function signOut() {
  await attempt(() => api.signOut());
  disconnect();
  ready.value = false;
  signInNeeded.value = true;
}

export function Settings() {
  const { limits = {}, version } = settings.value ?? {};
  const open = isOpenServer.value;
  return html`<div class="page narrow settings">
    <header class="page-head"><div><h1>Settings</h1></div></header>
    <section><h2>Appearance</h2><${Choice} legend="Theme" value=${theme.value} options=${THEMES} onChange=${chooseTheme} /></section>
    <section><h2>Models</h2><ul class="stack">${models.value.map((model) => html`<${Model} key=${model.id} model=${model} />`)}</ul></section>
    ${hasScope("admin") && html`<${Keys} open=${open} />`}
    <section><h2>Limits</h2><dl class="facts panel">${Object.entries(limits).map(limit).map(([name, value]) => html`<dt key=${name}>${name}</dt><dd class="numbers">${value}</dd>`)}</dl></section>
    <section>
      <h2>This server</h2>
      <p class="muted">${open ? "The server is open: it has no keys and answers this machine only." : `You are signed in. Your key may ${(session.value?.scopes ?? []).join(", ")}.`}</p>
      <p class="muted">lumora ${version}. <a href="/docs" target="_blank" rel="noreferrer">API reference</a></p>
      ${!open && html`<${Button} onClick=${signOut}>Sign out<//>`}
    </section>
  </div>`;
}
