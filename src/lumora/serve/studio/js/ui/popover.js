// Panels that open from a button: they lie in the top layer, close by Escape or a click outside, and give focus back.
import { html, classes, useRef, useSignal } from "../lib.js";
import { Icon } from "./icons.js";

const MARGIN = 8;

/** Places the panel above or below its button, inside the window. On a phone the style sheet makes it a sheet. */
function place(panel, button) {
  const box = button.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = panel;
  const above = box.top - height - MARGIN;
  const below = box.bottom + MARGIN;
  const fits = below + height + MARGIN < innerHeight;
  const top = above > MARGIN && (!fits || box.top > innerHeight / 2) ? above : Math.min(below, innerHeight - height - MARGIN);
  const left = Math.min(Math.max(box.left, MARGIN), innerWidth - width - MARGIN);
  panel.style.top = `${Math.max(top, MARGIN)}px`;
  panel.style.left = `${left}px`;
}

function focusable(panel) {
  return [...panel.querySelectorAll("button:not(:disabled), input:not(:disabled), select, textarea, a[href]")];
}

/**
 * A button and its panel. `children` is a function of `close`, called only while the panel is open.
 * `menu` makes it a menu, whose items are MenuItem.
 */
export function Popover({ label, name, className = "chip", menu = false, children }) {
  const button = useRef(null);
  const panel = useRef(null);
  const open = useSignal(false);

  const close = () => panel.current?.hidePopover();
  const toggle = () => (open.value ? close() : panel.current.showPopover());
  const toggled = (event) => {
    open.value = event.newState === "open";
    if (event.newState !== "open") {
      if (!document.activeElement || document.activeElement === document.body) button.current?.focus();
      return;
    }
    requestAnimationFrame(() => {
      if (!panel.current) return;
      place(panel.current, button.current);
      const checked = panel.current.querySelector("input:checked");
      (checked ?? focusable(panel.current)[0])?.focus();
    });
  };
  const keys = (event) => {
    if (event.key === "Escape") button.current.focus();
    if (!menu || !["ArrowDown", "ArrowUp", "Home", "End"].includes(event.key)) return;
    event.preventDefault();
    const items = focusable(panel.current);
    const here = items.indexOf(document.activeElement);
    const next = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: items.length - 1 }[event.key];
    items[(next + items.length) % items.length]?.focus();
  };

  return html`
    <button
      type="button" ref=${button} class=${className} onClick=${toggle} aria-expanded=${open.value ? "true" : "false"}
      aria-haspopup=${menu ? "menu" : "dialog"} aria-label=${name}
    >${label}</button>
    <div
      popover="auto" ref=${panel} class=${classes("popover", menu && "menu")} role=${menu ? "menu" : "dialog"}
      aria-label=${name} onToggle=${toggled} onKeyDown=${keys}
    >${open.value && children(close)}</div>
  `;
}

export function MenuItem({ icon, danger, onClick, href, download, children }) {
  const look = { class: classes("menu-item", danger && "danger"), role: "menuitem" };
  const content = html`${icon && html`<${Icon} name=${icon} size=${18} />`}<span>${children}</span>`;
  return href
    ? html`<a ...${look} href=${href} download=${download} onClick=${onClick}>${content}</a>`
    : html`<button type="button" ...${look} onClick=${onClick}>${content}</button>`;
}
