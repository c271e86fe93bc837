// What can be made of a finished video, and the files that it can be saved as: the menu of a card.
import { html } from "../lib.js";
import { api } from "../api.js";
import { useVideo } from "../intake.js";
import { openInEditor } from "../views/recut_state.js";
import { Icon } from "./icons.js";
import { MenuItem, Popover } from "./popover.js";

/** [role of the video in the next request, icon, text] */
export const USES = [
  ["remix", "remix", "Remix"],
  ["edit", "edit", "Edit"],
  ["forward", "forward", "Extend"],
  ["backward", "backward", "Extend before"],
  ["loop", "loop", "Loop"],
  ["connect", "connect", "Blend"],
];
const DOWNLOADS = [["mp4", "Video (MP4)"], ["gif", "Animation (GIF)"], ["webp", "Animation (WebP)"]];

export function Downloads({ item, close, icon }) {
  return DOWNLOADS.map(([format, text]) => html`<${MenuItem} key=${format} icon=${icon} href=${api.contentUrl(item.id, format)} download=${`${item.id}.${format}`} onClick=${close}>${text}<//>`);
}

export function VideoMenu({ item, name }) {
  return html`<${Popover} menu name=${`Actions for ${name}`} className="tile-button tile-menu" label=${html`<${Icon} name="more" />`}>
    ${(close) => html`
      ${USES.map(([role, icon, text]) => html`<${MenuItem} key=${role} icon=${icon} onClick=${() => (close(), useVideo(item, role))}>${text}<//>`)}
      <${MenuItem} icon="cut" onClick=${() => (close(), openInEditor(item))}>Re-cut<//>
      <${Downloads} item=${item} close=${close} icon="download" />`}
  <//>`;
}
