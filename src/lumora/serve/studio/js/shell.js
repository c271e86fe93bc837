// The frame around every view: navigation, drop overlay, dialogs, toasts.
import { classes, html, useEffect, useRef } from "./lib.js";
import { signInNeeded } from "./api.js";
import { dragging, dropTarget } from "./drop.js";
import { IntakeDialog } from "./intake.js";
import { link, route } from "./router.js";
import { hasScope, online, openVideos, ready } from "./state.js";
import { Help, helpOpen } from "./shortcuts.js";
import { Question, Toasts } from "./ui/dialog.js";
import { Brand, Icon } from "./ui/icons.js";
import { MenuItem, Popover } from "./ui/popover.js";
import { Create } from "./views/create.js";
import { Detail } from "./views/detail.js";
import { Library } from "./views/library.js";
import { Provenance } from "./views/provenance.js";
import { Queue } from "./views/queue.js";
import { Review } from "./views/review.js";
import { Settings } from "./views/settings.js";
import { SignIn } from "./views/sign_in.js";
import { Storyboard } from "./views/storyboard.js";

const MAIN = [
  ["create", "Create"],
  ["library", "Library"],
  ["storyboard", "Storyboard"],
  ["queue", "Queue"],
];
const REST = [
  ["provenance", "Provenance"],
  ["review", "Review"],
  ["settings", "Settings"],
];
const VIEWS = {
  create: Create, library: Library, video: Detail, storyboard: Storyboard, queue: Queue, provenance: Provenance, review: Review, settings: Settings,
};
const TITLES = { ...Object.fromEntries([...MAIN, ...REST]), video: "Video" };

function NavLink({ name, text, wide }) {
  const here = route.value.name === name || (name === "library" && route.value.name === "video");
  const count = name === "queue" ? openVideos.value.length : 0;
  return html`<li class=${classes(wide && "wide-only")}>
    <a class="rail-link" href=${link(name)} aria-current=${here ? "page" : undefined}>
      <${Icon} name=${name} size=${22} />${text}
      ${count > 0 && html`<span class="count">${count}<span class="visually-hidden"> open</span></span>`}
    </a>
  </li>`;
}

function Rail() {
  const rest = REST.filter(([name]) => name !== "review" || hasScope("review"));
  const more = html`<${Icon} name="more" size=${22} />More`;
  return html`<nav class="rail" aria-label="Main">
    <a class="brand" href=${link("create")} aria-label="lumora"><${Brand} /></a>
    <ul>
      ${MAIN.map(([name, text]) => html`<${NavLink} key=${name} name=${name} text=${text} />`)}
      <li class="rail-gap" aria-hidden="true"></li>
      ${rest.map(([name, text]) => html`<${NavLink} key=${name} name=${name} text=${text} wide />`)}
      <li class="phone-only more-item">
        <${Popover} menu label=${more} name="More" className="rail-link">
          ${(close) => rest.map(([name, text]) => html`<${MenuItem} key=${name} icon=${name} href=${link(name)} onClick=${close}>${text}<//>`)}
        <//>
      </li>
    </ul>
    <button type="button" class="rail-link wide-only" onClick=${() => (helpOpen.value = true)}><${Icon} name="question" size=${22} />Keys</button>
  </nav>`;
}

export function Shell() {
  const main = useRef(null);
  const { name, id } = route.value;
  useEffect(() => {
    document.title = `${TITLES[name]} · lumora`;
  }, [name, id]);
  const first = useRef(true);
  useEffect(() => {
    // After a change of view, the keyboard goes on from the top of it.
    if (!first.current) main.current?.focus({ preventScroll: true });
    first.current = false;
  }, [name]);
  if (signInNeeded.value) return html`<${SignIn} /><${Toasts} />`;
  const View = VIEWS[name];
  return html`
    <a class="skip" href="#main" onClick=${(event) => (event.preventDefault(), main.current.focus())}>Skip to content</a>
    <div class="shell">
      <${Rail} />
      <main id="main" ref=${main} tabindex="-1">
        ${ready.value ? html`<${View} key=${name} id=${id} />` : html`<${Waiting} />`}
      </main>
    </div>
    ${!online.value && ready.value && html`<div class="offline" role="status">The connection is lost. Trying again…</div>`}
    ${dragging.value && dropTarget.value && html`<div class="drop-overlay"><${Icon} name="upload" size=${40} /><strong>${dropTarget.value.label}</strong></div>`}
    <${IntakeDialog} /><${Question} /><${Help} /><${Toasts} />
  `;
}

function Waiting() {
  return html`<div class="page" role="status">
    <h1 class="visually-hidden">Loading</h1>
    <div class="skeleton wait-head"></div>
    <div class="gallery">${[1.6, 1, 0.7, 1.3, 1, 1.6].map((ratio, i) => html`<div class="skeleton gallery-item" key=${i} style=${{ "--ratio": ratio }}></div>`)}</div>
  </div>`;
}
