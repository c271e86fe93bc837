// Re-cut: trim, split, reorder and join finished videos, or replace a part of one.
import { classes, html, useEffect, useRef, useSignal } from "../lib.js";
import { api } from "../api.js";
import { grip, moved, startDrag } from "../drag.js";
import { addInput, fromVideo } from "../draft.js";
import { clock, duration } from "../format.js";
import { attempt, say, toast } from "../notices.js";
import { navigate } from "../router.js";
import { addNew, video } from "../state.js";
import { Button, Empty } from "../ui/controls.js";
import { Filmstrip } from "../ui/filmstrip.js";
import { Icon } from "../ui/icons.js";
import { PickVideo } from "../ui/pick_video.js";
import { SHORTEST, addSegment, chosen, head, length, locate, removeSegment, segments, split, trim } from "./recut_state.js";

const STEP = 0.125;

/** Plays the segments one after the other in one video element. */
function usePlayback(element) {
  const playing = useSignal(false);
  const show = () => {
    const [index, second] = locate(head.value);
    const part = segments.value[index];
    if (!part || !element.current) return;
    if (element.current.dataset.source !== part.url) {
      element.current.dataset.source = part.url;
      element.current.src = part.url;
    }
    if (Math.abs(element.current.currentTime - second) > 0.05) element.current.currentTime = second;
  };
  useEffect(() => {
    if (!playing.value) show();
  }, [head.value, segments.value]);
  useEffect(() => {
    if (!playing.value) return undefined;
    if (head.value >= length.value - 0.02) head.value = 0;
    show();
    element.current.play().catch(() => {});
    let before = performance.now();
    let next = 0;
    const tick = (now) => {
      const step = element.current.readyState >= 2 ? (now - before) / 1000 : 0;
      before = now;
      const index = locate(head.value)[0];
      head.value = Math.min(head.value + step, length.value);
      if (head.value >= length.value - 0.01) {
        playing.value = false;
        return;
      }
      if (locate(head.value)[0] !== index) {
        show();
        element.current.play().catch(() => {});
      }
      next = requestAnimationFrame(tick);
    };
    next = requestAnimationFrame(tick);
    return () => {
      cancelAnimationFrame(next);
      element.current?.pause();
    };
  }, [playing.value]);
  return playing;
}

function TrimHandle({ index, side, line }) {
  const part = segments.value[index];
  const value = part[side];
  const drag = (event) => {
    const perPixel = length.value / line.current.clientWidth;
    startDrag(event, (dx) => trim(index, side, value + dx * perPixel));
  };
  const keys = (event) => {
    const step = { ArrowLeft: -STEP, ArrowRight: STEP }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    trim(index, side, segments.value[index][side] + step * (event.shiftKey ? 4 : 1));
  };
  return html`<span class=${`trim ${side}`} role="slider" tabindex="0" aria-label=${`${side === "start" ? "Start" : "End"} of part ${index + 1}`}
    aria-valuemin="0" aria-valuemax=${part.length} aria-valuenow=${value} aria-valuetext=${`${value.toFixed(2)} seconds`} onPointerDown=${drag} onKeyDown=${keys}></span>`;
}

function Line() {
  const line = useRef(null);
  const count = segments.value.length;
  const reorder = (from, to) => {
    segments.value = moved(segments.value, from, to);
    chosen.value = to;
  };
  const seek = (event) => {
    const box = line.current.getBoundingClientRect();
    head.value = Math.min(Math.max((length.value * (event.clientX - box.left)) / box.width, 0), length.value);
  };
  return html`<section class="time-line recut-line" aria-label="Time line">
    <div class="blocks" ref=${line} data-list onPointerDown=${seek}>
      ${segments.value.map((part, i) => html`<div class=${classes("block part", chosen.value === i && "chosen")} key=${part.key} data-item style=${{ flexGrow: part.end - part.start }} onPointerDown=${() => (chosen.value = i)}>
        <${Filmstrip} url=${part.url} start=${part.start} end=${part.end} />
        <button type="button" class="grip" aria-label=${`Part ${i + 1} of ${count}, ${duration(part.end - part.start)}. Move it with the arrow keys`} onFocus=${() => (chosen.value = i)} ...${grip(i, count, reorder, null, false)}><${Icon} name="grip" size=${16} /></button>
        <${TrimHandle} index=${i} side="start" line=${line} /><${TrimHandle} index=${i} side="end" line=${line} />
      </div>`)}
      <i class="head" style=${{ left: `${(100 * head.value) / (length.value || 1)}%` }}></i>
    </div>
    <input type="range" class="head-range" min="0" max=${length.value} step="0.01" value=${head.value} aria-label="Play head" aria-valuetext=${`${head.value.toFixed(2)} seconds`} onInput=${(event) => (head.value = Number(event.target.value))} />
  </section>`;
}

export function Recut() {
  const element = useRef(null);
  const picking = useSignal(false);
  const busy = useSignal(false);
  const playing = usePlayback(element);
  const part = segments.value[chosen.value];
  const pick = (item) => {
    picking.value = false;
    addSegment(item);
  };
  const cutHere = () => (split() ? say("The part is split.") : toast("There is no room for a cut here: each part lasts at least a quarter of a second."));
  const remove = () => segments.value.length && removeSegment(chosen.value);
  const replace = () => {
    if (part.end - part.start > part.length - SHORTEST) return toast("Split or trim the part first: some of its video has to stay.");
    const item = video(part.video).value;
    addInput({ ...fromVideo(item, "infill"), start: part.start, end: part.end });
    navigate("create");
  };
  const save = async () => {
    busy.value = true;
    const body = { segments: segments.value.map(({ video: id, start, end }) => ({ video: { id }, start, end })) };
    const item = await attempt(() => api.cut(body));
    busy.value = false;
    if (!item) return;
    addNew([item]);
    toast("The cut is being saved as a new video.", { action: { label: "Open", run: () => navigate("video", item.id) } });
  };
  const keys = (event) => {
    if (event.target.closest("input:not([type=range]), dialog")) return;
    const action = { s: cutHere, Delete: remove, Backspace: remove, " ": () => (playing.value = !playing.value) }[event.key];
    if (!action || (event.key === " " && event.target.tagName === "BUTTON")) return;
    event.preventDefault();
    action();
  };
  const dialog = picking.value && html`<${PickVideo} title="Choose a video" onClose=${() => (picking.value = false)} onPick=${pick} />`;
  if (!segments.value.length) {
    return html`<${Empty} icon="cut" title="Cut a finished video again" action=${html`<${Button} kind="primary" onClick=${() => (picking.value = true)}>Choose a video<//>`}>
      Trim it, split it, put its parts into another order, join it with others, or have a part made anew. The original stays as it is.<//>${dialog}`;
  }
  return html`<div class="recut" onKeyDown=${keys}>
    <div class="recut-screen"><video ref=${element} muted playsinline preload="auto" aria-label="Preview of the cut"></video></div>
    <div class="row wrap recut-bar">
      <${Button} icon=${playing.value ? "pause" : "play"} label=${playing.value ? "Pause" : "Play"} onClick=${() => (playing.value = !playing.value)} />
      <span class="numbers muted small">${clock(head.value)} / ${clock(length.value)}</span>
      <span class="spacer"></span>
      <${Button} icon="cut" onClick=${cutHere}>Split<//>
      <${Button} icon="trash" onClick=${remove}>Remove part<//>
      <${Button} icon="edit" onClick=${replace}>Replace part<//>
      <${Button} icon="attach" onClick=${() => (picking.value = true)}>Add a video<//>
    </div>
    <${Line} />
    <div class="row wrap">
      <p class="small muted">${part && `Part ${chosen.value + 1}: ${duration(part.start)} to ${duration(part.end)} of “${part.name}”`}</p>
      <span class="spacer"></span>
      <${Button} kind="quiet" onClick=${() => (segments.value = [])}>Start over<//>
      <${Button} kind="primary" disabled=${busy.value} onClick=${save}>Save as a new video<//>
    </div>
    ${dialog}
  </div>`;
}
