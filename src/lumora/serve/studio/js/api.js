// The only module that talks to the server. Every failure is an ApiError with the server's own sentence.
import { signal } from "./lib.js";

/** True when the server wants a key: the shell then shows the sign-in page. */
export const signInNeeded = signal(false);

export class ApiError extends Error {
  constructor(message, { status = 0, code = null, categories = [], param = null, retryAfter = 0 } = {}) {
    super(message);
    Object.assign(this, { status, code, categories, param, retryAfter });
  }
}

/** Answers of 503 that say when to try again are tried again for so long: the checks load when the server starts. */
const START_MS = 60_000;

async function request(...call) {
  const end = Date.now() + START_MS;
  for (;;) {
    try {
      return await requestOnce(...call);
    } catch (error) {
      if (error.status !== 503 || !error.retryAfter || Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 1000 * Math.min(error.retryAfter, 2)));
    }
  }
}

async function requestOnce(method, path, { json, form, query, signal: abort, quiet401 = false } = {}) {
  const url = new URL(path, location.origin);
  for (const [key, value] of Object.entries(query ?? {})) {
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(key, value);
  }
  const headers = { Accept: "application/json", "X-Lumora": "1" };
  if (json) headers["Content-Type"] = "application/json";
  let answer;
  try {
    const body = json ? JSON.stringify(json) : form;
    answer = await fetch(url, { method, headers, body, signal: abort, credentials: "same-origin" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The server cannot be reached. Is lumora serve still running?");
  }
  const data = await answer.json().catch(() => null);
  if (answer.ok) return data;
  if (answer.status === 401 && !quiet401) signInNeeded.value = true;
  const details = data?.error ?? {};
  const sentence = details.message ?? `The server answered with status ${answer.status}.`;
  throw new ApiError(sentence, { ...details, status: answer.status, retryAfter: Number(answer.headers.get("Retry-After")) });
}

const get = (path, query) => request("GET", path, { query });
const post = (path, json = {}) => request("POST", path, { json });
const remove = (path) => request("DELETE", path);
const id = encodeURIComponent;

function formOf(file) {
  const form = new FormData();
  form.append("file", file, file.name ?? "upload");
  return form;
}

export const api = {
  // Videos
  create: (body) => post("/v1/videos", body),
  edit: (body) => post("/v1/videos/edits", body),
  extend: (body) => post("/v1/videos/extensions", body),
  connect: (body) => post("/v1/videos/connections", body),
  infill: (body) => post("/v1/videos/infills", body),
  loop: (body) => post("/v1/videos/loops", body),
  cut: (body) => post("/v1/videos/cuts", body),
  remix: (video, body) => post(`/v1/videos/${id(video)}/remix`, body),
  videos: (query) => get("/v1/videos", query),
  video: (video) => get(`/v1/videos/${id(video)}`),
  change: (video, fields) => request("PATCH", `/v1/videos/${id(video)}`, { json: fields }),
  deleteVideo: (video) => remove(`/v1/videos/${id(video)}`),
  cancel: (video) => post(`/v1/videos/${id(video)}/cancel`),
  report: (video, body) => post(`/v1/videos/${id(video)}/report`, body),
  contentUrl: (video, format) => `/v1/videos/${id(video)}/content?variant=video&format=${format}`,

  // Queue
  queue: () => get("/v1/queue"),
  reorder: (ids) => post("/v1/queue/reorder", { ids }),

  // Files, characters, provenance
  upload: (file, abort) => request("POST", "/v1/files", { form: formOf(file), signal: abort }),
  file: (file) => get(`/v1/files/${id(file)}`),
  characters: () => get("/v1/videos/characters"),
  createCharacter: (form) => request("POST", "/v1/videos/characters", { form }),
  deleteCharacter: (character) => remove(`/v1/videos/characters/${id(character)}`),
  checkFile: (file) => request("POST", "/v1/content_provenance_checks", { form: formOf(file) }),
  checkVideo: (video) => post("/v1/content_provenance_checks", { video_id: video }),

  expandPrompt: (prompt, seed) => post("/v1/prompt_expansions", { prompt, seed }),

  // Review, settings, keys, session
  appeal: (body) => post("/v1/appeals", body),
  cases: () => get("/v1/review", { state: "all", limit: 500 }),
  refused: () => get("/v1/review/refused"),
  decide: (item, body) => post(`/v1/review/${id(item)}`, body),
  models: () => get("/v1/models"),
  settings: () => get("/v1/settings"),
  keys: () => get("/v1/keys"),
  createKey: (body) => post("/v1/keys", body),
  revokeKey: (key) => remove(`/v1/keys/${id(key)}`),
  session: () => request("GET", "/v1/session", { quiet401: true }),
  signIn: (key) => request("POST", "/v1/session", { json: { key }, quiet401: true }),
  signOut: () => request("DELETE", "/v1/session", { quiet401: true }),
};

/** Opens the stream of all events. `handlers` maps names of events to functions of their data. */
export function openEvents(handlers, onOpen, onError) {
  const source = new EventSource("/v1/events");
  for (const [name, handle] of Object.entries(handlers)) {
    source.addEventListener(name, (event) => handle(JSON.parse(event.data)));
  }
  source.onopen = onOpen;
  source.onerror = () => onError(source.readyState === EventSource.CLOSED);
  return source;
}
