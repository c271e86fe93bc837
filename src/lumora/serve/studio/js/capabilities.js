// What the chosen model can make: sizes, durations, steps.
import { computed } from "./lib.js";
import { models } from "./state.js";

const RATIOS = [
  ["1:1", 1],
  ["16:9", 16 / 9],
  ["9:16", 9 / 16],
  ["4:3", 4 / 3],
  ["3:4", 3 / 4],
];
const FALLBACK = {
  tasks: [], size: "1280x720", size_step: 16, aspect_step: 16, min_side: 64, max_side: 4096, fps: 24, max_fps: 60,
  seconds: 4, max_seconds: 20, num_inference_steps: 24, max_inference_steps: 100, max_shots: 12,
};

function sides(size) {
  if (typeof size === "string") return size.split("x").map(Number);
  return Array.isArray(size) ? size : [size.width, size.height];
}

/** Capabilities of a model by its id; of the first model if the id is unknown. */
export function capabilities(id) {
  const model = models.value.find((other) => other.id === id) ?? models.value[0];
  const can = { ...FALLBACK, ...model?.capabilities };
  const [width, height] = sides(can.size);
  return { ...can, id: model?.id, width, height, can: (task) => !can.tasks.length || can.tasks.includes(task) };
}

/** The size of this aspect ratio that has about as many pixels as the model's default size. */
export function sizeFor(can, ratio) {
  const own = can.width / can.height;
  if (Math.abs(own - ratio) <= 0.02 * ratio) return `${can.width}x${can.height}`;
  const pixels = can.width * can.height;
  const side = (length) => {
    const step = can.aspect_step;
    return step * Math.min(Math.max(Math.round(length / step), Math.ceil(can.min_side / step)), Math.floor(can.max_side / step));
  };
  return `${side(Math.sqrt(pixels * ratio))}x${side(Math.sqrt(pixels / ratio))}`;
}

/** The aspect ratios to choose from, as [name, ratio]; the model's own ratio is among them. */
export function ratios(can) {
  const own = can.width / can.height;
  const known = RATIOS.some(([, ratio]) => Math.abs(ratio - own) < 0.02 * ratio);
  return known ? RATIOS : [[`${can.width}:${can.height}`, own], ...RATIOS];
}

export const ratioOf = (name) => {
  const [width, height] = name.split(":").map(Number);
  return width / height;
};

/** The name of the ratio that is nearest to a size such as "1280x720". */
export function ratioName(can, size) {
  const [width, height] = String(size).split("x").map(Number);
  if (!(width > 0 && height > 0)) return ratios(can)[0][0];
  const distance = ([, ratio]) => Math.abs(Math.log(ratio / (width / height)));
  return [...ratios(can)].sort((a, b) => distance(a) - distance(b))[0][0];
}

export const anyModel = computed(() => models.value.length > 0);
