// Buttons, choices and fields.
import { html, classes, useId } from "../lib.js";
import { Icon } from "./icons.js";

export function Button({ icon, kind = "", children, label, keys, ...rest }) {
  const only = !children;
  return html`<button
    type="button" class=${classes("button", kind, only && "icon")} aria-label=${label} title=${only ? label : undefined} ...${rest}
  >${icon && html`<${Icon} name=${icon} size=${18} />`}${children && html`<span>${children}</span>`}${keys && html`<kbd>${keys}</kbd>`}</button>`;
}

/** One of several values, as radio buttons that look like chips. `options` are [value, label]. */
export function Choice({ legend, options, value, onChange, className = "chips", hideLegend = false }) {
  const name = useId();
  return html`<fieldset>
    <legend class=${hideLegend ? "visually-hidden" : "label"}>${legend}</legend>
    <div class=${className}>
      ${options.map(
        ([option, label]) => html`<label class="chip" key=${option}>
          <input type="radio" name=${name} checked=${option === value} onChange=${() => onChange(option)} />
          ${label}
        </label>`,
      )}
    </div>
  </fieldset>`;
}

/** A slider with a number field for exact values. */
export function Amount({ label, value, min, max, step, unit, onChange, hint }) {
  const id = useId();
  const change = (event) => {
    const number = Number(event.target.value);
    if (event.target.value !== "" && Number.isFinite(number)) onChange(Math.min(Math.max(number, min), max));
  };
  return html`<div class="field">
    <label class="label" for=${id}>${label}</label>
    <div class="amount">
      <input type="range" id=${id} min=${min} max=${max} step=${step} value=${value} onInput=${change} />
      <input
        type="number" class="input numbers" min=${min} max=${max} step=${step} value=${value} onChange=${change}
        aria-label=${`${label}${unit ? `, in ${unit}` : ""}`}
      />
    </div>
    ${hint && html`<small>${hint}</small>`}
  </div>`;
}

export function Field({ label, hint, children }) {
  return html`<label class="field"><span>${label}</span>${children}${hint && html`<small>${hint}</small>`}</label>`;
}

export function Check({ label, checked, onChange }) {
  return html`<label class="check">
    <input type="checkbox" checked=${checked} onChange=${(event) => onChange(event.target.checked)} />${label}
  </label>`;
}

/** A button that opens the system's file picker. */
export function FileButton({ label, icon = "upload", accept = "image/*,video/*", kind = "", onFiles, children }) {
  const picked = (event) => {
    const files = [...event.target.files];
    event.target.value = "";
    if (files.length) onFiles(files);
  };
  return html`<label class=${classes("button file-button", kind, !children && "icon")} title=${children ? undefined : label}>
    <${Icon} name=${icon} size=${18} />${children && html`<span>${children}</span>`}
    <input type="file" accept=${accept} onChange=${picked} aria-label=${label} />
  </label>`;
}

export function Empty({ icon, title, children, action }) {
  return html`<div class="empty">
    ${icon && html`<${Icon} name=${icon} size=${40} />`}
    <h2>${title}</h2>
    <p>${children}</p>
    ${action}
  </div>`;
}

/** A small rectangle of an aspect ratio. */
export function Shape({ ratio, box = 14 }) {
  const width = ratio >= 1 ? box : box * ratio;
  const height = ratio >= 1 ? box / ratio : box;
  return html`<span class="shape" style=${{ width: `${width}px`, height: `${height}px` }} aria-hidden="true"></span>`;
}
