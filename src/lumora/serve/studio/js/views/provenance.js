// Provenance: where a file comes from, in words that need no knowledge of cryptography.
import { html, signal, useEffect } from "../lib.js";
import { api } from "../api.js";
import { useDrop } from "../drop.js";
import { bytes, title } from "../format.js";
import { recipeOf, useRecipe } from "../intake.js";
import { attempt, say } from "../notices.js";
import { link } from "../router.js";
import { loadVideo, video } from "../state.js";
import { Button, FileButton } from "../ui/controls.js";
import { Icon } from "../ui/icons.js";
import { Manifest } from "./manifest.js";

/** The file on view: {name, note, url, kind, check}; check is null while it runs. */
const examined = signal(null);

let turn = 0;

async function examine(subject, run) {
  const mine = ++turn;
  if (examined.value?.owned) URL.revokeObjectURL(examined.value.url);
  examined.value = { ...subject, check: null };
  const check = await attempt(run);
  if (mine !== turn) return;
  examined.value = check ? { ...examined.value, check } : null;
  if (check) say(verdict(check).title);
}

function examineFile([file]) {
  const kind = file.type.startsWith("image") ? "image" : "video";
  return examine({ name: file.name, note: bytes(file.size), url: URL.createObjectURL(file), owned: true, kind }, () => api.checkFile(file));
}

async function examineVideo(id) {
  const item = video(id).value ?? (await attempt(() => loadVideo(id)));
  if (item?.urls) await examine({ name: title(item), note: "From the library", url: item.urls.video, kind: "video" }, () => api.checkVideo(id));
}

const result = (check, type) => check.results?.find((one) => one.type === type);

/** The answer to "where does this come from?": {kind, icon, title, text}. */
export function verdict(check) {
  const c2pa = result(check, "c2pa") ?? {};
  const detector = result(check, "detector") ?? {};
  const ours = detector.answer === "ours" || detector.outcome === "detected" || detector.outcome === "ours";
  const state = check.manifest?.state ?? c2pa.validation_state;
  if (state === "tampered" || (c2pa.validation_state === "invalid" && !ours)) {
    return { kind: "bad", icon: "alert", title: "This file was changed after it was signed", text: "Do not rely on what its record says." };
  }
  if (ours && ["trusted", "valid", "intact"].includes(state)) {
    return { kind: "ok", icon: "check", title: "Made here, and unchanged since", text: "A model made it on this server. Nothing was changed after that." };
  }
  if (ours) {
    return { kind: "ok", icon: "check", title: "Made here", text: "A model made it on this server. The file was copied, converted or edited since, and lost its signed record." };
  }
  if (["trusted", "valid", "intact"].includes(state)) {
    return { kind: "plain", icon: "provenance", title: "Signed by someone else", text: "The file has an unchanged record of its origin. It was not made on this server." };
  }
  if (detector.answer === "cannot tell") {
    return { kind: "plain", icon: "question", title: "It cannot be told", text: "There are weak signs of this server or its model, too weak to be sure." };
  }
  return { kind: "plain", icon: "question", title: "Origin unknown", text: "Nothing suggests that it was made here. That is no proof: strong changes remove all traces." };
}

const EVIDENCE = [
  ["c2pa", "key", "Signed record", "A C2PA manifest inside the file"],
  ["watermark", "drop", "Invisible watermark", "A pattern in the pixels that survives copying"],
  ["detector", "eye", "Comparison with published videos", "A fingerprint of each video that was published here"],
];

function chance(p) {
  if (p < 1e-9) return "less than 1 in a billion";
  return `about 1 in ${Number((1 / p).toPrecision(1)).toLocaleString()}`;
}

function Evidence({ type, icon, name, about, check }) {
  const found = result(check, type);
  const yes = found && (found.outcome === "detected" || found.outcome === "ours");
  const p = found?.p_value;
  const odds = yes && p < 0.01 ? `The chance that this is a coincidence is ${chance(p)}.` : null;
  return html`<li class="evidence">
    <${Icon} name=${icon} size=${24} />
    <div>
      <h3>${name}</h3>
      <p>${found?.explanation ?? (yes ? "Found." : "Not found.")}</p>
      ${odds && html`<p class="small muted">${odds}</p>`}
      <p class="small muted">${about}</p>
    </div>
    <span class=${`tag ${yes ? "ok" : ""}`}>${found ? (yes ? "Found" : "Not found") : "Not checked"}</span>
  </li>`;
}

function Result({ item }) {
  const { check } = item;
  const words = verdict(check);
  const recipe = recipeOf(check);
  const known = result(check, "detector")?.video_id ?? check.video_id;
  return html`<section class="stack verdict-page" aria-label="Result">
    <div class=${`verdict ${words.kind}`}>
      <span class="verdict-icon"><${Icon} name=${words.icon} size=${28} /></span>
      <div><h2>${words.title}</h2><p>${words.text}</p></div>
    </div>
    ${(recipe || known) && html`<div class="row wrap">
      ${recipe && html`<${Button} icon="restore" onClick=${() => useRecipe(recipe)}>Use its settings<//>`}
      ${known && html`<a class="button" href=${link("video", known)}><${Icon} name="film" size=${18} /><span>Show it in the library</span></a>`}
    </div>`}
    <ul class="evidence-list">${EVIDENCE.map(([type, icon, name, about]) => html`<${Evidence} key=${type} type=${type} icon=${icon} name=${name} about=${about} check=${check} />`)}</ul>
    <${Manifest} manifest=${check.manifest} />
  </section>`;
}

export function Provenance({ id }) {
  useDrop("Drop it to see where it comes from", examineFile);
  useEffect(() => {
    if (id) examineVideo(id);
  }, [id]);
  const item = examined.value;
  return html`<div class="page narrow">
    <header class="page-head">
      <div><h1>Provenance</h1><p>Drop any image or video to see whether it was made here, and what its record says.</p></div>
      ${item && html`<${FileButton} label="Check another file" icon="upload" onFiles=${examineFile}>Check another file<//>`}
    </header>
    ${!item && html`<div class="drop-zone">
      <${Icon} name="provenance" size=${44} />
      <p>Drop a file here, or</p>
      <${FileButton} label="Choose a file" icon="upload" kind="primary" onFiles=${examineFile}>Choose a file<//>
      <p class="small muted">It is examined on this server and not kept.</p>
    </div>`}
    ${item && html`<div class="examined">
      <figure>
        ${item.kind === "image" ? html`<img src=${item.url} alt="" />` : html`<video src=${item.url} muted loop autoplay playsinline aria-label=${item.name} tabindex="-1"></video>`}
        <figcaption class="small muted"><span class="clamp-2">${item.name}</span>${item.note}</figcaption>
      </figure>
      ${item.check ? html`<${Result} item=${item} />` : html`<div class="stack" role="status"><span class="visually-hidden">The file is being examined</span>
        <div class="skeleton verdict-wait"></div><div class="skeleton verdict-wait"></div><div class="skeleton verdict-wait"></div></div>`}
    </div>`}
  </div>`;
}
