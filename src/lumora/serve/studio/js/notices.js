// Toasts, spoken notices and questions.
import { signal } from "./lib.js";

export const toasts = signal([]);
/** What screen readers are told next. */
export const spoken = signal("");
/** The question on screen: {title, text, confirm, danger, resolve}. */
export const question = signal(null);

let next = 1;

/** Shows a notice. Errors stay until they are dismissed; notices with an action {label, run} stay longer than others. */
export function toast(text, { kind = "info", action = null, seconds = 6 } = {}) {
  const id = next++;
  toasts.value = [...toasts.value.filter((other) => other.text !== text), { id, text, kind, action }].slice(-4);
  if (kind !== "error") setTimeout(() => dismiss(id), 1000 * (action ? 3 * seconds : seconds));
  return id;
}

export function dismiss(id) {
  toasts.value = toasts.value.filter((other) => other.id !== id);
}

/** Shows an error's sentence. Aborted requests say nothing. */
export function fail(error, action = null) {
  if (error?.name === "AbortError") return;
  if (error?.status === 401) return;
  if (!error?.status && error?.constructor?.name !== "ApiError") console.error(error);
  toast(error?.message ?? String(error), { kind: "error", action });
}

export const say = (text) => (spoken.value = text);

/** Runs an action of the user and shows what went wrong. Resolves to undefined after an error. */
export async function attempt(action) {
  try {
    return await action();
  } catch (error) {
    fail(error);
    return undefined;
  }
}

export function ask(title, { text = "", confirm = "OK", danger = false } = {}) {
  return new Promise((resolve) => (question.value = { title, text, confirm, danger, resolve }));
}
