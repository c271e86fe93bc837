// The time line of a storyboard: one block for each shot, and cuts that are dragged or moved by arrow keys.
import { classes, html, useRef } from "../lib.js";
import { startDrag } from "../drag.js";
import { duration } from "../format.js";
import { SHORTEST, board, boardCan, moveCut, starts, total } from "./board_state.js";

const STEP = 0.25;

function Cut({ index, line }) {
  const { shots } = board.value;
  const last = index === shots.length - 1;
  const at = starts.value[index] + shots[index].seconds;
  const most = last ? boardCan.value.max_seconds : starts.value[index + 1] + shots[index + 1].seconds - SHORTEST;
  const drag = (event) => {
    const before = shots[index].seconds;
    const perPixel = total.value / line.current.clientWidth;
    startDrag(event, (dx) => moveCut(index, before + dx * perPixel));
  };
  const keys = (event) => {
    const step = event.shiftKey ? 1 : STEP;
    const to = { ArrowLeft: -step, ArrowDown: -step, ArrowRight: step, ArrowUp: step }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    moveCut(index, board.value.shots[index].seconds + to);
  };
  const name = last ? "End of the video" : `Cut between shots ${index + 1} and ${index + 2}`;
  return html`<span
    class=${classes("cut", last && "last")} role="slider" tabindex="0" aria-label=${name} aria-orientation="horizontal"
    aria-valuemin=${starts.value[index] + SHORTEST} aria-valuemax=${most} aria-valuenow=${at} aria-valuetext=${`${at} seconds`}
    style=${{ left: `${(100 * at) / total.value}%` }} onPointerDown=${drag} onKeyDown=${keys}
  ></span>`;
}

export function TimeLine({ chosen }) {
  const line = useRef(null);
  const { shots } = board.value;
  return html`<section class="time-line" aria-label="Time line">
    <div class="blocks" ref=${line}>
      ${shots.map((shot, i) => html`<button
        type="button" class=${classes("block", chosen.value === i && "chosen")} key=${shot.key} style=${{ flexGrow: shot.seconds }}
        aria-label=${`Shot ${i + 1}, ${duration(shot.seconds)}`} aria-pressed=${chosen.value === i ? "true" : "false"}
        onClick=${() => ((chosen.value = i), document.getElementById(`shot-${i}`)?.focus())}
      >
        ${shot.picture?.kind === "image" && html`<img src=${shot.picture.url} alt="" />`}
        <span class="block-text"><strong>${i + 1}</strong> <span class="clamp-1">${shot.prompt}</span></span>
        <span class="block-time numbers">${duration(shot.seconds)}</span>
      </button>`)}
      ${shots.map((shot, i) => html`<${Cut} key=${`cut-${shot.key}`} index=${i} line=${line} />`)}
    </div>
    <div class="ruler numbers" aria-hidden="true">
      ${starts.value.map((start, i) => html`<span key=${i} style=${{ left: `${(100 * start) / total.value}%` }}>${duration(start)}</span>`)}
    </div>
  </section>`;
}
