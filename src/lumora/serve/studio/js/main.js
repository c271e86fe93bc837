// Starts the studio: loads the state, opens the event stream, shows the shell.
import { effect, html, render } from "./lib.js";
import { signInNeeded } from "./api.js";
import { listenForDrops } from "./drop.js";
import { connect, disconnect } from "./events.js";
import { fail } from "./notices.js";
import { loadAll, ready } from "./state.js";
import { listenForShortcuts } from "./shortcuts.js";
import { Shell } from "./shell.js";

const RETRY_MS = 2000;

/** Loads everything; is called again after signing in, and until the server answers. */
export async function start() {
  try {
    await loadAll();
    connect();
  } catch (error) {
    disconnect();
    if (error.status === 401) {
      signInNeeded.value = true;
      return;
    }
    fail(error);
    setTimeout(start, RETRY_MS);
  }
}

effect(() => {
  if (!signInNeeded.value && !ready.value) start();
});
listenForDrops();
listenForShortcuts();
render(html`<${Shell} />`, document.getElementById("app"));
