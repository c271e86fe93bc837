// A finished video that is cut again: segments of videos in their order, the play head, the chosen segment.
import { computed, signal } from "../lib.js";
import { navigate } from "../router.js";

export const SHORTEST = 0.25;
/** [{key, video, name, url, thumbnail, length, start, end}] */
export const segments = signal([]);
export const chosen = signal(0);
/** Seconds after the start of the cut. */
export const head = signal(0);

let keys = 0;

export const length = computed(() => segments.value.reduce((sum, part) => sum + part.end - part.start, 0));
export const offsets = computed(() => {
  let time = 0;
  return segments.value.map((part) => (time += part.end - part.start) - (part.end - part.start));
});

export function addSegment(item) {
  const seconds = item.made?.seconds ?? Number(item.seconds);
  const part = { key: ++keys, video: item.id, name: item.title || item.prompt, url: item.urls.video, thumbnail: item.urls.thumbnail, length: seconds, start: 0, end: seconds };
  segments.value = [...segments.value, part];
  chosen.value = segments.value.length - 1;
}

export function openInEditor(item) {
  segments.value = [];
  head.value = 0;
  addSegment(item);
  navigate("storyboard", "recut");
}

/** Where a time of the cut lies: [index of the segment, second of its video]. */
export function locate(time) {
  const index = Math.max(0, offsets.value.findLastIndex((start) => start <= time + 1e-6));
  const part = segments.value[index];
  return part ? [index, Math.min(part.start + time - offsets.value[index], part.end)] : [-1, 0];
}

const round = (seconds) => Math.round(1000 * seconds) / 1000;

/** Moves the start or the end of a segment. */
export function trim(index, side, seconds) {
  segments.value = segments.value.map((part, i) => {
    if (i !== index) return part;
    if (side === "start") return { ...part, start: round(Math.min(Math.max(seconds, 0), part.end - SHORTEST)) };
    return { ...part, end: round(Math.max(Math.min(seconds, part.length), part.start + SHORTEST)) };
  });
  head.value = Math.min(head.value, length.value);
}

/** Splits the segment under the play head. Returns whether there was room for it. */
export function split() {
  const [index, second] = locate(head.value);
  const part = segments.value[index];
  if (!part || second - part.start < SHORTEST || part.end - second < SHORTEST) return false;
  const at = round(second);
  const halves = [{ ...part, end: at }, { ...part, key: ++keys, start: at }];
  segments.value = segments.value.flatMap((other, i) => (i === index ? halves : [other]));
  chosen.value = index + 1;
  return true;
}

export function removeSegment(index) {
  segments.value = segments.value.filter((_part, i) => i !== index);
  chosen.value = Math.max(0, Math.min(chosen.value, segments.value.length - 1));
  head.value = Math.min(head.value, length.value);
}
