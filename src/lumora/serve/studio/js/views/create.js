// Create: the stage above, the form below.
import { html } from "../lib.js";
import { draft } from "../draft.js";
import { useDrop } from "../drop.js";
import { takeFiles } from "../intake.js";
import { recent } from "../state.js";
import { Composer } from "./composer.js";
import { Reel, Stage } from "./stage.js";

// Prompts that the default model was trained on.
const IDEAS = [
  "A large red ball bounces to the right on a beach at noon",
  "A blue cube slides on snow at sunset",
  "A green cone spins in a room, the camera orbits",
  "A yellow ring rolls along a street at night",
];

function Welcome() {
  const use = (idea) => {
    draft.prompt.value = idea;
    document.getElementById("prompt")?.focus();
  };
  return html`<section class="stage" aria-label="Start">
    <div class="welcome">
      <h1>What should it show?</h1>
      <p>Describe a video, or drop an image or a video anywhere to begin with it.</p>
      <div class="chips">
        ${IDEAS.map((idea) => html`<button type="button" class="chip" key=${idea} onClick=${() => use(idea)}>${idea}</button>`)}
      </div>
    </div>
  </section>`;
}

export function Create() {
  useDrop("Drop it to use it in a video", takeFiles);
  return html`<div class="create">
    ${recent.value.length ? html`<h1 class="visually-hidden">Create</h1><${Stage} />` : html`<${Welcome} />`}
    <${Reel} />
    <div class="composer-zone"><${Composer} /></div>
  </div>`;
}
