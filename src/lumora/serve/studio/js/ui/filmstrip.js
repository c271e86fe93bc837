// Pictures of a video in their order, drawn from the video file itself.
import { html, useEffect, useRef } from "../lib.js";

const HEIGHT = 64;

let last = Promise.resolve();

/** Runs one after the other, so that many strips do not decode at once. */
const inTurn = (job) => (last = last.then(job, job));

const event = (target, name) => new Promise((resolve, reject) => {
  target.addEventListener(name, resolve, { once: true });
  target.addEventListener("error", reject, { once: true });
});

async function drawStrip(canvas, url, start, end, isCurrent) {
  const video = document.createElement("video");
  Object.assign(video, { muted: true, preload: "auto", src: url });
  if (video.readyState < 2) await event(video, "loadeddata");
  const context = canvas.getContext("2d");
  const width = Math.max(1, Math.round((HEIGHT * video.videoWidth) / video.videoHeight));
  const count = Math.max(1, Math.ceil(canvas.width / width));
  for (let i = 0; i < count && isCurrent(); i++) {
    const time = Math.min(start + ((i + 0.5) / count) * (end - start), Math.max(0, video.duration - 0.01));
    video.currentTime = time;
    await event(video, "seeked");
    context.drawImage(video, i * width, 0, width, HEIGHT);
  }
  video.removeAttribute("src");
  video.load();
}

export function Filmstrip({ url, start = 0, end }) {
  const canvas = useRef(null);
  useEffect(() => {
    let current = true;
    const timer = setTimeout(() => {
      if (!canvas.current) return;
      canvas.current.width = Math.max(32, Math.round(canvas.current.clientWidth));
      inTurn(() => (current ? drawStrip(canvas.current, url, start, end, () => current) : null)).catch(() => {});
    }, 120);
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [url, start, end]);
  return html`<canvas class="filmstrip" ref=${canvas} width="320" height=${HEIGHT} aria-hidden="true"></canvas>`;
}
