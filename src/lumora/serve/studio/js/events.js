// The one stream of events: keeps the state in step with the server, and comes back after a lost connection.
import { openEvents } from "./api.js";
import { batch } from "./lib.js";
import { addNew, forget, keep, library, loadLibrary, loadQueue, loadRecent, online, preview, queue, recent, video } from "./state.js";

const RETRY_MS = 3000;

let source = null;
let wasLost = false;

export function connect() {
  source?.close();
  source = openEvents(
    {
      "video.updated": update,
      "video.deleted": ({ id }) => forget(id),
      "video.preview": ({ id, ...frame }) => (preview(id).value = frame),
      "queue.updated": refreshQueue,
    },
    () => {
      online.value = true;
      if (wasLost) Promise.all([loadRecent(), loadQueue(), loadLibrary(library.value.filters)]).catch(() => {});
      wasLost = false;
    },
    (closed) => {
      online.value = false;
      wasLost = true;
      if (closed) setTimeout(connect, RETRY_MS);
    },
  );
}

export function disconnect() {
  source?.close();
  source = null;
}

function update(item) {
  batch(() => {
    if (!recent.value.includes(item.id) && video(item.id).value === undefined) addNew([item]);
    else keep(item);
    const done = item.status === "completed" || item.status === "failed";
    if (done && queue.value.includes(item.id)) queue.value = queue.value.filter((id) => id !== item.id);
  });
}

let waiting = null;

function refreshQueue() {
  // A burst of changes is one request.
  waiting ??= setTimeout(() => {
    waiting = null;
    loadQueue().catch(() => {});
  }, 150);
}
