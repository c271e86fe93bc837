// Numbers and names in words.

export function duration(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(Number(seconds))) return "";
  const value = Number(seconds);
  if (value < 60) return `${Number(value.toFixed(value < 10 ? 2 : 1))} s`;
  const rest = Math.round(value % 60);
  return `${Math.floor(value / 60)} min${rest ? ` ${rest} s` : ""}`;
}

export function clock(seconds) {
  const value = Math.max(0, seconds || 0);
  const minutes = Math.floor(value / 60);
  return `${minutes}:${(value - 60 * minutes).toFixed(1).padStart(4, "0")}`;
}

/** "about 12 s", "about 3 min": an estimate is never more exact than it can be. */
export function eta(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 1.5) return "almost done";
  if (seconds < 20) return `about ${Math.round(seconds)} s`;
  if (seconds < 90) return `about ${5 * Math.round(seconds / 5)} s`;
  if (seconds < 5400) return `about ${Math.round(seconds / 60)} min`;
  return `about ${Math.round(seconds / 3600)} h`;
}

export function bytes(count) {
  if (!count) return "0 bytes";
  const units = ["bytes", "kB", "MB", "GB"];
  const power = Math.min(Math.floor(Math.log10(count) / 3), 3);
  return `${Number((count / 1000 ** power).toFixed(power ? 1 : 0))} ${units[power]}`;
}

export function day(time) {
  if (!time) return "";
  const date = new Date(typeof time === "number" ? 1000 * time : time);
  return date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

/** "64x64" as "64 × 64". */
export const size = (text) => String(text ?? "").replace("x", " × ");

const TASKS = {
  text: "From a prompt",
  image: "From an image",
  last_image: "To a last frame",
  keyframes: "Between keyframes",
  extend: "Extended",
  extend_backward: "Extended before its start",
  infill: "Part replaced",
  connect: "Blended",
  loop: "Loop",
  edit: "Edited",
  remix: "Remix",
  shots: "Storyboard",
  cut: "Cut",
};

export const task = (name) => TASKS[name] ?? String(name ?? "").replaceAll("_", " ");

/** What a job is doing. Before the first step the model is loaded; after the last one the frames are reviewed. */
export function phase(item) {
  if (item.status === "queued") return item.queue_position > 1 ? `Number ${item.queue_position} in the queue` : "Next in the queue";
  if (!item.progress) return "Getting ready";
  return item.progress < 95 ? `${item.progress} %` : "Reviewing and signing";
}

const STATUS = { queued: "Waiting", in_progress: "Being made", completed: "Finished", failed: "Failed" };

export const isCanceled = (item) => item.status === "failed" && item.error?.code === "cancelled";

export function status(item) {
  if (isCanceled(item)) return "Canceled";
  if (item.status === "failed" && item.error?.code === "content_filter") return "Refused";
  return STATUS[item.status] ?? item.status;
}

/** Width divided by height of a video as it is or will be. */
export function aspect(item) {
  const [width, height] = String(item?.made?.size ?? item?.size ?? "1x1").split("x").map(Number);
  return width > 0 && height > 0 ? width / height : 1;
}

export const title = (item) => item?.title || item?.prompt || task(item?.task) || "Untitled";
