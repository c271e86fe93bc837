// Dialogs, the question dialog, toasts and the live region.
import { html, classes, useEffect, useId, useRef } from "../lib.js";
import { dismiss, question, spoken, toasts } from "../notices.js";
import { Button } from "./controls.js";

/** A modal dialog that is open as long as it is rendered. */
export function Dialog({ title, onClose, children, wide }) {
  const box = useRef(null);
  const id = useId();
  useEffect(() => {
    const before = document.activeElement;
    box.current.showModal();
    box.current.querySelector("textarea, input:not([type]), input[type=search]")?.focus(); // rather than "Close"
    return () => before?.isConnected && before.focus();
  }, []);
  const outside = (event) => event.target === box.current && onClose();
  return html`<dialog
    ref=${box} class=${classes(wide && "wide")} aria-labelledby=${id} onPointerDown=${outside}
    onCancel=${(event) => (event.preventDefault(), onClose())}
  >
    <div class="dialog-head">
      <h2 id=${id}>${title}</h2>
      <${Button} icon="close" kind="quiet" label="Close" onClick=${onClose} />
    </div>
    ${children}
  </dialog>`;
}

export function Question() {
  const asked = question.value;
  if (!asked) return null;
  const answer = (value) => {
    question.value = null;
    asked.resolve(value);
  };
  return html`<${Dialog} title=${asked.title} onClose=${() => answer(false)}>
    ${asked.text && html`<p class="muted">${asked.text}</p>`}
    <div class="dialog-foot">
      <${Button} onClick=${() => answer(false)}>Keep it<//>
      <${Button} kind=${asked.danger ? "danger" : "primary"} onClick=${() => answer(true)}>${asked.confirm}<//>
    </div>
  <//>`;
}

export function Toasts() {
  return html`
    <div class="toasts" role="region" aria-label="Notices">
      ${toasts.value.map(
        (item) => html`<div class=${`toast ${item.kind}`} key=${item.id} role=${item.kind === "error" ? "alert" : "status"}>
          <div>${item.text}</div>
          ${item.action && html`<${Button} onClick=${() => (dismiss(item.id), item.action.run())}>${item.action.label}<//>`}
          <${Button} icon="close" kind="quiet" label="Dismiss" onClick=${() => dismiss(item.id)} />
        </div>`,
      )}
    </div>
    <div class="visually-hidden" aria-live="polite">${spoken.value}</div>
  `;
}
