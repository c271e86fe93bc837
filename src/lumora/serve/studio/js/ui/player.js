// The player: own controls, keys, and a glow of the picture's colors around it.
import { html, useEffect, useRef, useSignal } from "../lib.js";
import { clock, aspect, title } from "../format.js";
import { Button } from "./controls.js";

const GLOW_MS = 120;
const LARGEST = 44; // rem: small videos are not blown up beyond this width

/** Draws the playing picture, tiny, on the canvas behind it; the style sheet blurs it. */
function useGlow(video, canvas) {
  useEffect(() => {
    const draw = () => {
      const source = video.current;
      if (source?.readyState >= 2) canvas.current?.getContext("2d").drawImage(source, 0, 0, 16, 16);
    };
    const timer = setInterval(() => !video.current?.paused && draw(), GLOW_MS);
    video.current?.addEventListener("loadeddata", draw);
    return () => clearInterval(timer);
  }, []);
}

export function Player({ item, onTime, position, autoplay = true }) {
  const video = useRef(null);
  const canvas = useRef(null);
  const frame = useRef(null);
  const time = useSignal(0);
  const length = useSignal(item.made?.seconds ?? (Number(item.seconds) || 1));
  const playing = useSignal(false);
  const looping = useSignal(true);
  const muted = useSignal(true);
  const fps = item.made?.fps ?? 24;
  useGlow(video, canvas);

  useEffect(() => {
    // Smooth time while it plays; "timeupdate" alone comes four times a second.
    let next = 0;
    const tick = () => {
      if (video.current && !video.current.paused) moved();
      next = requestAnimationFrame(tick);
    };
    next = requestAnimationFrame(tick);
    return () => cancelAnimationFrame(next);
  }, []);
  useEffect(() => {
    if (position !== undefined && video.current && Math.abs(video.current.currentTime - position) > 0.04) seek(position);
  }, [position]);

  const moved = () => {
    if (!video.current) return; // a last event after it is gone
    time.value = video.current.currentTime;
    onTime?.(video.current.currentTime);
  };
  const toggle = () => (video.current.paused ? video.current.play().catch(() => {}) : video.current.pause());
  const seek = (to) => {
    video.current.currentTime = Math.min(Math.max(to, 0), length.value);
    time.value = video.current.currentTime;
  };
  const step = (frames) => {
    video.current.pause();
    seek(video.current.currentTime + frames / fps);
    onTime?.(video.current.currentTime);
  };
  const keys = (event) => {
    if (event.target.type === "range" && event.key.startsWith("Arrow")) return;
    const action = { " ": toggle, k: toggle, ",": () => step(-1), ".": () => step(1), m: () => (muted.value = !muted.value) }[event.key];
    if (!action || (event.key === " " && event.target.tagName === "BUTTON")) return;
    event.preventDefault();
    action();
  };
  const full = () => (document.fullscreenElement ? document.exitFullscreen() : frame.current.requestFullscreen?.());
  const shape = aspect(item);
  const width = { maxWidth: `min(${LARGEST}rem, ${70 * shape}vh)` };

  return html`<section class="player" aria-label="Player" onKeyDown=${keys}>
    <div class="player-frame" ref=${frame} style=${{ ...width, aspectRatio: shape }}>
      <canvas class="player-glow" ref=${canvas} width="16" height="16" aria-hidden="true"></canvas>
      <video
        ref=${video} src=${item.urls.video} poster=${item.urls.thumbnail} loop=${looping.value} muted=${muted.value}
        autoplay=${autoplay} playsinline onClick=${toggle} aria-label=${title(item)} onTimeUpdate=${moved}
        onPlay=${() => (playing.value = true)} onPause=${() => (playing.value = false)}
        onLoadedMetadata=${() => Number.isFinite(video.current?.duration) && (length.value = video.current.duration)}
      ></video>
    </div>
    <div class="player-bar" style=${width}>
      <${Button} icon=${playing.value ? "pause" : "play"} kind="quiet" label=${playing.value ? "Pause" : "Play"} onClick=${toggle} />
      <input
        type="range" min="0" max=${length.value} step="0.01" value=${time.value} aria-label="Position" aria-valuetext=${`${time.value.toFixed(1)} of ${length.value.toFixed(1)} seconds`}
        onInput=${(event) => (seek(Number(event.target.value)), onTime?.(Number(event.target.value)))}
      />
      <span class="player-time">${clock(time.value)} / ${clock(length.value)}</span>
      <${Button} icon="loop" kind="quiet" label="Repeat" aria-pressed=${looping.value ? "true" : "false"} onClick=${() => (looping.value = !looping.value)} />
      <${Button} icon=${muted.value ? "mute" : "sound"} kind="quiet" label=${muted.value ? "Sound on" : "Sound off"} onClick=${() => (muted.value = !muted.value)} />
      <${Button} icon="expand" kind="quiet" label="Full screen" onClick=${full} />
    </div>
  </section>`;
}
