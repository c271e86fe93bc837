// A video that forms: noise first, then the previews, and a line of progress.
import { html, useEffect, useRef } from "../lib.js";
import { preview } from "../state.js";

const SIDE = 40;
const FRAME_MS = 140;

/** Gray noise that moves, unless the user prefers reduced motion. */
function Noise() {
  const canvas = useRef(null);
  useEffect(() => {
    const context = canvas.current.getContext("2d");
    const image = context.createImageData(SIDE, SIDE);
    const draw = () => {
      for (let i = 0; i < image.data.length; i += 4) {
        image.data.fill(60 + 120 * Math.random(), i, i + 3);
        image.data[i + 3] = 255;
      }
      context.putImageData(image, 0, 0);
    };
    draw();
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return undefined;
    const timer = setInterval(draw, FRAME_MS);
    return () => clearInterval(timer);
  }, []);
  return html`<canvas ref=${canvas} width=${SIDE} height=${SIDE} aria-hidden="true"></canvas>`;
}

export function Forming({ item }) {
  const frame = preview(item.id).value;
  const shown = useRef([]); // the last two previews: the new one fades in over the one before
  if (frame && shown.current.at(-1) !== frame) shown.current = [...shown.current.slice(-1), frame];
  const share = Math.max(item.progress ?? 0, 2) / 100;
  return html`<div class="forming">
    ${shown.current.length < 2 && html`<${Noise} />`}
    ${shown.current.map(({ step, image }) => html`<img key=${step} src=${image} alt="" />`)}
    ${item.status === "in_progress" &&
    html`<div class="progress-line"><i style=${{ transform: `scaleX(${share})` }}></i></div>`}
  </div>`;
}
