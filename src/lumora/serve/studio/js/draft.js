// The request that Create is about to send, and its way into and out of the API's words.
import { batch, computed, signal, stored } from "./lib.js";
import { api } from "./api.js";
import { capabilities, ratioName, ratioOf, ratios, sizeFor } from "./capabilities.js";

export const MAX_VARIATIONS = 8;

/** What an image or video does in a request. `alone`: it is the only one, and the request goes to its own route. */
export const ROLES = {
  start: { name: "First frame", alone: false },
  end: { name: "Last frame", alone: false },
  at: { name: "Frame at a second", alone: false },
  forward: { name: "Extend", alone: true, prompt: "What happens next?" },
  backward: { name: "Extend before the start", alone: true, prompt: "What happened before?" },
  edit: { name: "Edit", alone: true, prompt: "What should change?" },
  remix: { name: "Remix", alone: true, prompt: "What should be different?" },
  loop: { name: "Loop", alone: true, prompt: "How does it lead back? You can leave this empty." },
  infill: { name: "Replace a part", alone: true, prompt: "What happens in this part?" },
  connect: { name: "Blend", alone: true, prompt: "How does one lead to the other? You can leave this empty." },
};

export const draft = {
  prompt: stored("lumora.prompt", ""),
  negative: signal(""),
  ratio: signal(null), // a name such as "16:9"; null: the model's own
  seconds: signal(null), // null: the model's default
  model: signal(null),
  seed: signal(null), // null: another one each time
  n: signal(1),
  steps: signal(null),
  guidance: signal(null),
  characters: signal([]), // ids
  inputs: signal([]), // {key, role, file_id | video_id, name, kind, url, thumbnail, seconds, at, strength, start, end}
};

export const can = computed(() => capabilities(draft.model.value));
export const mode = computed(() => draft.inputs.value.find((input) => ROLES[input.role].alone)?.role ?? null);
export const shownSeconds = computed(() => draft.seconds.value ?? (mode.value ? Math.min(2, can.value.seconds) : can.value.seconds));
export const shownRatio = computed(() => draft.ratio.value ?? ratios(can.value)[0][0]);
export const size = computed(() => sizeFor(can.value, ratioOf(shownRatio.value)));
export const promptOptional = computed(() => draft.inputs.value.length > 0 && !["edit", "remix"].includes(mode.value));

/** Details that are added to a prompt could contradict a picture. */
export const canExpand = computed(() => !draft.inputs.value.length && !draft.characters.value.length);

let keys = 0;

/** Adds an image or video. One that stands alone replaces all others, and is replaced by the next one. */
export function addInput(input) {
  const alone = ROLES[input.role].alone;
  const pair = input.role === "connect" ? draft.inputs.value.filter((other) => other.role === "connect").slice(-1) : [];
  const others = alone ? pair : draft.inputs.value.filter((other) => !ROLES[other.role].alone);
  const single = others.filter((other) => input.role === "at" || input.role === "connect" || other.role !== input.role);
  draft.inputs.value = [...single, { key: ++keys, at: 0, strength: 0.6, ...input }];
}

export function changeInput(key, fields) {
  draft.inputs.value = draft.inputs.value.map((input) => (input.key === key ? { ...input, ...fields } : input));
}

export function removeInput(key) {
  draft.inputs.value = draft.inputs.value.filter((input) => input.key !== key);
}

/** A finished video as an input. */
export const fromVideo = (item, role) => ({
  role, video_id: item.id, name: item.title || item.prompt || "Video", kind: "video", url: item.urls?.video,
  thumbnail: item.urls?.thumbnail, seconds: item.made?.seconds ?? Number(item.seconds),
});

/** An uploaded file as an input. */
export const fromFile = (file, role) => ({
  role, file_id: file.id, name: file.filename || "Upload", kind: file.kind, url: file.url, seconds: file.seconds,
});

const source = ({ file_id, video_id }) => (file_id ? { file_id } : { id: video_id });

function common() {
  const d = draft;
  const body = { prompt: d.prompt.value.trim() };
  if (d.model.value) body.model = d.model.value;
  if (d.seed.value !== null) body.seed = d.seed.value;
  if (d.negative.value.trim()) body.negative_prompt = d.negative.value.trim();
  if (d.steps.value) body.num_inference_steps = d.steps.value;
  if (d.guidance.value !== null) body.guidance_scale = d.guidance.value;
  if (d.n.value > 1) body.n = d.n.value;
  return body;
}

function send() {
  const body = common();
  const [input, second] = draft.inputs.value;
  const seconds = shownSeconds.value;
  switch (mode.value) {
    case "forward":
    case "backward":
      return api.extend({ ...body, video: source(input), seconds, direction: input.role });
    case "edit":
      return api.edit({ ...body, video: source(input), strength: input.strength });
    case "remix":
      return api.remix(input.video_id, body);
    case "loop":
      return api.loop({ ...body, video: source(input), seconds });
    case "infill":
      return api.infill({ ...body, video: source(input), start: input.start, end: input.end });
    case "connect":
      if (!second) throw new Error("Choose the second video to blend with.");
      return api.connect({ ...body, videos: [source(input), source(second)], seconds });
    default: {
      const references = draft.inputs.value.map(({ role, at, file_id, video_id }) => ({
        ...(file_id ? { file_id } : { video_id }),
        position: role === "at" ? at : role,
      }));
      if (references.length) body.references = references;
      if (draft.characters.value.length) body.characters = draft.characters.value.map((id) => ({ id }));
      return api.create({ ...body, seconds, size: size.value });
    }
  }
}

/** Sends the request. Resolves to the videos that were queued, the variations of one request. */
export async function submit() {
  const first = await send();
  const others = (first.variations ?? []).filter((id) => id !== first.id);
  return [first, ...(await Promise.all(others.map((id) => api.video(id))))];
}

/** Fills the form with the settings of a request, such as a video's `request` or the recipe of a file. */
export function restore(request, { seed = request.seed } = {}) {
  const numberOrNull = (value) => (value === null || value === undefined || value === "" ? null : Number(value));
  batch(() => {
    draft.prompt.value = request.prompt ?? "";
    draft.negative.value = request.negative_prompt ?? "";
    draft.model.value = request.model ?? null;
    draft.seed.value = numberOrNull(seed);
    draft.seconds.value = numberOrNull(request.seconds);
    const steps = numberOrNull(request.num_inference_steps);
    draft.steps.value = steps === can.value.num_inference_steps ? null : steps;
    draft.guidance.value = numberOrNull(request.guidance_scale);
    draft.characters.value = [];
    draft.ratio.value = request.size ? ratioName(can.value, request.size) : null;
    draft.inputs.value = [];
  });
}

const TASK_ROLES = { extend: "forward", extend_backward: "backward", edit: "edit", remix: "remix", loop: "loop", infill: "infill", connect: "connect" };

/** Fills the form with everything that a video was made of, its inputs included. */
export function restoreVideo(item, options) {
  const { request = {} } = item;
  restore({ ...request, prompt: request.prompt ?? item.prompt, size: request.size ?? item.size, seed: item.seed }, options);
  const input = (id, fields) => {
    const source = id.startsWith("video_") ? { video_id: id } : { file_id: id };
    addInput({ ...source, name: source.video_id ? "Video" : "Upload", kind: "video", ...fields });
  };
  const role = TASK_ROLES[item.task];
  for (const id of role ? request.videos ?? [] : []) input(id, { role, strength: request.strength ?? 0.6, start: request.start ?? 0, end: request.end });
  for (const { id, start = 0 } of request.references ?? []) input(id, start === null ? { role: "end" } : start ? { role: "at", at: start } : { role: "start" });
}

/** Returns a function that puts the form back to what it is now. */
export function snapshot() {
  const before = Object.entries(draft).map(([name, { value }]) => [name, value]);
  return () => batch(() => before.forEach(([name, value]) => (draft[name].value = value)));
}

export function clearDraft() {
  restore({});
  draft.n.value = 1;
}
