// What the studio knows of the server: videos, previews, queue, models, session.
import { signal, computed, batch } from "./lib.js";
import { api } from "./api.js";

const PAGE = 24;
const RECENT = 40;

const known = new Map(); // id -> signal of the video, or of null once it is deleted
const previews = new Map(); // id -> signal of {image, step, total}

export const models = signal([]);
export const settings = signal(null);
export const session = signal(null);
export const characters = signal([]);
export const online = signal(true);
export const ready = signal(false);

/** Ids of the latest videos, newest first: what Create shows. */
export const recent = signal([]);
/** Ids of running and waiting jobs in their order. */
export const queue = signal([]);
export const library = signal({ ids: [], more: false, loading: false, filters: {}, error: null });

export const openVideos = computed(() => recent.value.map((id) => video(id).value).filter(isOpen));
/** Whether the server has no keys yet, so that everyone on its machine may do everything. */
export const isOpenServer = computed(() => settings.value?.access === "open");
export const hasScope = (scope) => {
  const scopes = session.value?.scopes ?? [];
  return isOpenServer.value || scopes.includes(scope) || scopes.includes("admin");
};

export const isOpen = (item) => item?.status === "queued" || item?.status === "in_progress";
export const isDone = (item) => item?.status === "completed";

/** The signal of a video; its value is undefined until it is loaded. */
export function video(id) {
  if (!known.has(id)) known.set(id, signal(undefined));
  return known.get(id);
}

export function preview(id) {
  if (!previews.has(id)) previews.set(id, signal(null));
  return previews.get(id);
}

/** Keeps what the server says of a video; a running job never goes back in progress. */
export function keep(item) {
  const before = video(item.id).value;
  // Signed addresses change with every answer; the old ones stay while they work, so that players do not reload.
  if (before?.urls && item.urls && before.completed_at === item.completed_at && fresh(before)) {
    item = { ...item, urls: before.urls, urlsSince: before.urlsSince };
  } else if (item.urls) {
    item = { ...item, urlsSince: Date.now() };
  }
  video(item.id).value = item;
  if (!isOpen(item)) previews.delete(item.id);
  return item;
}

const fresh = (item) => Date.now() - item.urlsSince < 5 * 60_000;

export function addNew(items) {
  batch(() => {
    items.forEach(keep);
    const ids = items.map((item) => item.id).filter((id) => !recent.value.includes(id));
    if (!ids.length) return;
    recent.value = [...ids, ...recent.value];
    const list = library.value;
    const unfiltered = Object.values(list.filters).every((value) => !value);
    if (unfiltered) library.value = { ...list, ids: [...ids.filter((id) => !list.ids.includes(id)), ...list.ids] };
  });
}

export function forget(id) {
  batch(() => {
    video(id).value = null;
    recent.value = recent.value.filter((other) => other !== id);
    queue.value = queue.value.filter((other) => other !== id);
    library.value = { ...library.value, ids: library.value.ids.filter((other) => other !== id) };
  });
}

export async function loadVideo(id) {
  const item = video(id);
  try {
    keep(await api.video(id));
  } catch (error) {
    if (error.status !== 404) throw error;
    item.value = null;
  }
  return item.value;
}

export async function loadRecent() {
  const page = await api.videos({ limit: RECENT, order: "desc" });
  batch(() => {
    page.data.forEach(keep);
    recent.value = page.data.map((item) => item.id);
  });
}

export async function loadQueue() {
  const list = await api.queue();
  batch(() => {
    list.data.forEach(keep);
    queue.value = list.data.map((item) => item.id);
  });
}

let asked = 0;

/** Loads the first page of the library for these filters, or the next page if none are given. */
export async function loadLibrary(filters) {
  const next = filters === undefined;
  if (next && (library.value.loading || !library.value.more)) return;
  const turn = ++asked;
  const before = library.value;
  filters ??= before.filters;
  library.value = { ...before, filters, loading: true, error: null, ids: next ? before.ids : [] };
  try {
    const after = next ? before.ids.at(-1) : undefined;
    const page = await api.videos({ limit: PAGE, order: "desc", after, ...filters });
    if (turn !== asked) return;
    batch(() => {
      page.data.forEach(keep);
      const ids = new Set([...library.value.ids, ...page.data.map((item) => item.id)]);
      library.value = { ids: [...ids], more: page.has_more, loading: false, filters, error: null };
    });
  } catch (error) {
    if (turn === asked) library.value = { ...library.value, loading: false, error: error.message };
  }
}

export async function loadCharacters() {
  characters.value = (await api.characters()).data;
}

/** Loads all that the shell needs; throws ApiError 401 if a key is needed. */
export async function loadAll() {
  [settings.value, session.value] = await Promise.all([api.settings(), api.session()]);
  const [list] = await Promise.all([api.models(), loadRecent(), loadQueue()]);
  models.value = list.data;
  loadCharacters().catch(() => {}); // a server without characters is still useful
  ready.value = true;
}
