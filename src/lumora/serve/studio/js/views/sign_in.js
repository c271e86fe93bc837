// The page that asks for a key. The key is sent once; the session is a cookie that scripts cannot read.
import { html, useEffect, useRef, useSignal } from "../lib.js";
import { api, signInNeeded } from "../api.js";
import { ready } from "../state.js";
import { Brand } from "../ui/icons.js";

export function SignIn() {
  const key = useSignal("");
  const error = useSignal(null);
  const busy = useSignal(false);
  const field = useRef(null);
  useEffect(() => {
    document.title = "Sign in · lumora";
    field.current.focus();
  }, []);
  const send = async (event) => {
    event.preventDefault();
    busy.value = true;
    error.value = null;
    try {
      await api.signIn(key.value.trim());
      ready.value = false;
      signInNeeded.value = false;
    } catch (wrong) {
      error.value = wrong.message;
      busy.value = false;
      field.current?.select();
    }
  };
  return html`<main class="sign-in">
    <form class="stack" onSubmit=${send}>
      <span class="sign-in-brand"><${Brand} /></span>
      <h1>Welcome to lumora</h1>
      <p class="muted">Sign in with your API key. Whoever runs this server can give you one.</p>
      <label class="field"><span>API key</span>
        <input ref=${field} class="input" type="password" autocomplete="current-password" required value=${key.value} onInput=${(event) => (key.value = event.target.value)}
          aria-invalid=${error.value ? "true" : undefined} aria-describedby=${error.value ? "sign-in-error" : undefined} />
      </label>
      ${error.value && html`<p class="note bad" id="sign-in-error" role="alert">${error.value}</p>`}
      <button type="submit" class="button primary" disabled=${busy.value || !key.value.trim()}>Sign in</button>
    </form>
  </main>`;
}
