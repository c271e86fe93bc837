// The form of Create: prompt, inputs, settings.
import { html, useRef, useSignal } from "../lib.js";
import { api } from "../api.js";
import { ratios } from "../capabilities.js";
import { duration, size as sizeText } from "../format.js";
import { MAX_VARIATIONS, ROLES, addInput, can, canExpand, changeInput, clearDraft, draft, fromVideo, mode, promptOptional, removeInput, shownRatio, shownSeconds, size, submit } from "../draft.js";
import { takeFiles } from "../intake.js";
import { say } from "../notices.js";
import { addNew, characters, models } from "../state.js";
import { CharacterDialog } from "../ui/characters.js";
import { ComplaintDialog } from "../ui/complaint.js";
import { Amount, Button, Choice, Field, FileButton, Shape } from "../ui/controls.js";
import { Icon } from "../ui/icons.js";
import { Popover } from "../ui/popover.js";
import { PickVideo } from "../ui/pick_video.js";
import { chooseGroup } from "./stage.js";

const MAX_SEED = 2 ** 31;
export const randomSeed = () => Math.floor(Math.random() * MAX_SEED);

function InputCard({ input }) {
  const { role, name, kind, url, thumbnail, key } = input;
  const picture = thumbnail ?? (kind === "image" ? url : null);
  const change = (field) => (event) => changeInput(key, { [field]: Number(event.target.value) });
  return html`<li class="input-card">
    ${picture ? html`<img src=${picture} alt="" />` : url ? html`<video src=${url} muted playsinline preload="metadata" tabindex="-1" aria-label=${name}></video>` : html`<span class="blank"></span>`}
    <div>
      <strong>${ROLES[role].name}</strong>
      <div class="muted clamp-1">${name}</div>
    </div>
    ${role === "at" && html`<input class="input numbers" type="number" min="0" step="0.25" max=${shownSeconds.value} value=${input.at} onChange=${change("at")} aria-label="Second of this frame" />`}
    ${role === "edit" && html`<label class="field"><span>Change</span><input type="range" min="0.1" max="1" step="0.05" value=${input.strength} onInput=${change("strength")} /></label>`}
    ${role === "infill" && html`<span class="numbers muted">${duration(input.start)} – ${duration(input.end)}</span>`}
    <${Button} icon="close" kind="quiet" label=${`Remove ${ROLES[role].name.toLowerCase()}`} onClick=${() => removeInput(key)} />
  </li>`;
}

/** On a phone a panel covers the page, so it has a button that closes it. */
function Done({ close }) {
  return html`<div class="dialog-foot phone-only"><${Button} onClick=${close}>Done<//></div>`;
}

function SizeChip() {
  const label = html`<${Shape} ratio=${ratios(can.value).find(([name]) => name === shownRatio.value)?.[1] ?? 1} />${shownRatio.value}`;
  return html`<${Popover} label=${label} name=${`Shape: ${shownRatio.value}`}>
    ${(close) => html`<${Choice}
      legend=${`Shape, ${sizeText(size.value)} pixels`} className="shapes" value=${shownRatio.value}
      options=${ratios(can.value).map(([name, ratio]) => [name, html`<${Shape} ratio=${ratio} box=${26} />${name}`])}
      onChange=${(name) => (draft.ratio.value = name)}
    /><${Done} close=${close} />`}
  <//>`;
}

function SecondsChip() {
  const max = can.value.max_seconds;
  return html`<${Popover} label=${html`<${Icon} name="clock" size=${16} />${duration(shownSeconds.value)}`} name=${`Length: ${duration(shownSeconds.value)}`}>
    ${(close) => html`<${Amount}
      label=${mode.value ? "Seconds to add" : "Seconds"} unit="seconds" value=${shownSeconds.value} min=${0.5} max=${Math.min(max, 60)} step=${0.5}
      onChange=${(value) => (draft.seconds.value = value)} hint=${`The model makes up to ${duration(max)}; ${duration(can.value.seconds)} is what it does best.`}
    /><${Done} close=${close} />`}
  <//>`;
}

function CountChip() {
  const options = Array.from({ length: MAX_VARIATIONS }, (_, i) => [i + 1, String(i + 1)]);
  return html`<${Popover} label=${html`<${Icon} name="copies" size=${16} />×${draft.n.value}`} name=${`Variations: ${draft.n.value}`}>
    ${(close) => html`<${Choice} legend="Variations, each with its own seed" options=${options} value=${draft.n.value} onChange=${(n) => (draft.n.value = n)} />
    <${Done} close=${close} />`}
  <//>`;
}

function SeedChip() {
  const kept = draft.seed.value !== null;
  const label = html`<${Icon} name=${kept ? "lock" : "dice"} size=${16} />${kept ? `Seed ${draft.seed.value}` : "New seed"}`;
  return html`<${Popover} label=${label} name=${kept ? `Seed ${draft.seed.value}` : "New seed each time"}>
    ${(close) => html`<div class="stack">
      <${Choice} legend="Seed" value=${kept} onChange=${(keep) => (draft.seed.value = keep ? randomSeed() : null)}
        options=${[[false, "New each time"], [true, "Keep"]]} />
      ${kept && html`<div class="row">
        <input class="input numbers" type="number" min="0" step="1" aria-label="Seed" value=${draft.seed.value}
          onChange=${(event) => (draft.seed.value = Math.max(0, Math.floor(Number(event.target.value) || 0)))} />
        <${Button} icon="dice" label="Another seed" onClick=${() => (draft.seed.value = randomSeed())} />
      </div>`}
      <p class="small muted">The same request with the same seed makes the same video.</p>
      <${Done} close=${close} />
    </div>`}
  <//>`;
}

function MoreChip({ onCharacter }) {
  const changed = [draft.negative.value, draft.steps.value, draft.guidance.value !== null, draft.model.value].filter(Boolean).length + draft.characters.value.length;
  const toggle = (id) => {
    const chosen = draft.characters.value;
    draft.characters.value = chosen.includes(id) ? chosen.filter((other) => other !== id) : [...chosen, id];
  };
  return html`<${Popover} label=${html`<${Icon} name="sliders" size=${16} />More${changed ? ` · ${changed}` : ""}`} name="More settings">
    ${(close) => html`<div class="stack more-settings">
      ${models.value.length > 1 && html`<${Field} label="Model"><select class="input" value=${can.value.id} onChange=${(event) => (draft.model.value = event.target.value)}>
        ${models.value.map((model) => html`<option value=${model.id} key=${model.id}>${model.id}</option>`)}
      </select><//>`}
      <${Field} label="Negative prompt" hint="What the video should not show.">
        <textarea class="input" rows="2" maxlength="2000" value=${draft.negative.value} onInput=${(event) => (draft.negative.value = event.target.value)}></textarea>
      <//>
      <${Amount} label="Steps" value=${draft.steps.value ?? can.value.num_inference_steps} min=${1} max=${Math.min(can.value.max_inference_steps, 100)} step=${1}
        onChange=${(value) => (draft.steps.value = value === can.value.num_inference_steps ? null : value)} hint="More steps take longer. Few are enough for a draft." />
      <${Field} label="Guidance scale" hint="How closely to follow the prompt. Empty: the model decides.">
        <input class="input" type="number" min="0" max="100" step="0.5" value=${draft.guidance.value ?? ""}
          onChange=${(event) => (draft.guidance.value = event.target.value === "" ? null : Number(event.target.value))} />
      <//>
      <fieldset><legend class="label">Characters</legend>
        <div class="chips">
          ${characters.value.map((one) => html`<button type="button" class="chip" key=${one.id} aria-pressed=${draft.characters.value.includes(one.id) ? "true" : "false"} onClick=${() => toggle(one.id)}>
            <${Icon} name="person" size=${16} />${one.name}</button>`)}
          <button type="button" class="chip" onClick=${() => (close(), onCharacter())}><${Icon} name="attach" size=${16} />New character</button>
        </div>
      </fieldset>
      <div class="dialog-foot">
        <${Button} onClick=${() => (clearDraft(), close())}>Reset all<//>
        <span class="phone-only"><${Button} onClick=${close}>Done<//></span>
      </div>
    </div>`}
  <//>`;
}

export function Composer() {
  const box = useRef(null);
  const busy = useSignal(false);
  const error = useSignal(null);
  const making = useSignal(false);
  const picking = useSignal(false);
  const appealing = useSignal(null); // the refused prompt
  const short = useSignal(null); // the prompt before details were added
  const expanding = useSignal(false);
  const open = mode.value && ROLES[mode.value];
  const missing = !draft.prompt.value.trim() && !promptOptional.value;

  const go = async () => {
    if (busy.value) return;
    if (missing) {
      error.value = { message: "Say what the video should show." };
      box.current.focus();
      return;
    }
    busy.value = true;
    error.value = null;
    try {
      const items = await submit();
      addNew(items);
      chooseGroup(items[0]);
      draft.inputs.value = [];
      say(items.length > 1 ? `${items.length} videos are queued.` : "The video is queued.");
    } catch (wrong) {
      error.value = wrong;
    }
    busy.value = false;
  };
  // The prompt is replaced by a longer one, which can be edited; asking again gives other details of the short one.
  const expand = async () => {
    const { prompt, revised } = short.value ?? {};
    const from = draft.prompt.value === revised ? prompt : draft.prompt.value.trim();
    if (expanding.value) return;
    if (!from) return box.current.focus();
    expanding.value = true;
    error.value = null;
    try {
      const { revised_prompt: long } = await api.expandPrompt(from, randomSeed());
      short.value = { prompt: from, revised: long };
      draft.prompt.value = long;
      say("Details were added to the prompt.");
    } catch (wrong) {
      error.value = wrong;
    }
    expanding.value = false;
  };
  const shorten = () => {
    draft.prompt.value = short.value.prompt;
    box.current.focus();
  };
  const keys = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      go();
    }
  };
  const second = mode.value === "connect" && draft.inputs.value.length < 2;

  return html`<form class="composer" aria-label="New video" onKeyDown=${keys} onSubmit=${(event) => (event.preventDefault(), go())}>
    ${draft.inputs.value.length > 0 && html`<ul class="inputs" aria-label="Images and videos for this request">
      ${draft.inputs.value.map((input) => html`<${InputCard} key=${input.key} input=${input} />`)}
      ${second && html`<li><${Button} icon="connect" onClick=${() => (picking.value = true)}>Choose the second video<//></li>`}
    </ul>`}
    <textarea
      ref=${box} id="prompt" class="prompt-box" rows="2" maxlength="2000" aria-label="Prompt" value=${draft.prompt.value}
      placeholder=${open?.prompt ?? "Describe a video…"} onInput=${(event) => ((draft.prompt.value = event.target.value), (error.value = null))}
      aria-invalid=${error.value ? "true" : undefined} aria-describedby=${error.value ? "prompt-error" : undefined}
    ></textarea>
    ${error.value && html`<p class="composer-error" id="prompt-error" role="alert">${error.value.message}
      ${error.value.code === "moderation_blocked" && html`<button type="button" onClick=${() => (appealing.value = draft.prompt.value)}>Appeal</button>`}</p>`}
    <div class="composer-bar">
      <${FileButton} label="Add an image or a video" icon="attach" kind="quiet" onFiles=${takeFiles} />
      <div class="composer-chips" role="group" aria-label="Settings">
        ${!open && html`<${SizeChip} />`}
        ${!["edit", "remix", "infill"].includes(mode.value) && html`<${SecondsChip} />`}
        <${CountChip} />
        <${SeedChip} />
        ${canExpand.value && html`<button type="button" class="chip" disabled=${expanding.value} onClick=${expand}>
          <${Icon} name="details" size=${16} />${short.value?.revised === draft.prompt.value ? "Other details" : "Add details"}</button>`}
        ${short.value?.revised === draft.prompt.value && html`<button type="button" class="chip" title="Undo: your own prompt" aria-label="Undo the details" onClick=${shorten}><${Icon} name="restore" size=${16} /></button>`}
        <${MoreChip} onCharacter=${() => (making.value = true)} />
      </div>
      <button type="submit" class="button primary" disabled=${busy.value}><span>${busy.value ? "Sending…" : open ? open.name.split(" ")[0] : "Create"}</span><kbd class="wide-keys">Ctrl ↵</kbd></button>
    </div>
  </form>
  ${appealing.value !== null && html`<${ComplaintDialog} title="Appeal against the refusal" label="Why is this prompt harmless?"
    send=${(body) => api.appeal({ prompt: appealing.value, ...body })} onClose=${() => (appealing.value = null)} />`}
  ${making.value && html`<${CharacterDialog} onClose=${() => (making.value = false)} />`}
  ${picking.value && html`<${PickVideo} title="Blend with which video?" onClose=${() => (picking.value = false)} onPick=${pickSecond} />`}
`;

  function pickSecond(item) {
    picking.value = false;
    addInput(fromVideo(item, "connect"));
  }
}
