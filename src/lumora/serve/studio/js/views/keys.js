// API keys, for administrators. A new key is shown once.
import { html, useEffect, useSignal } from "../lib.js";
import { api } from "../api.js";
import { day } from "../format.js";
import { ask, attempt, toast } from "../notices.js";
import { Button, Check, Empty, Field } from "../ui/controls.js";
import { Dialog } from "../ui/dialog.js";

const SCOPES = [
  ["read", "See and download its own videos"],
  ["create", "Make, change and delete videos"],
  ["review", "Decide on reports and appeals"],
  ["admin", "Manage keys, see all videos"],
];

export function Keys({ open }) {
  const keys = useSignal(null);
  const making = useSignal(false);
  const load = async () => (keys.value = ((await attempt(() => api.keys()))?.data ?? []).filter((key) => !key.revoked_at));
  useEffect(() => {
    load();
  }, []);
  const revoke = async (key) => {
    const sure = await ask(`Revoke the key “${key.name}”?`, { text: "Programs that use it stop working at once.", confirm: "Revoke", danger: true });
    if (sure) await attempt(async () => (await api.revokeKey(key.id), load()));
  };
  return html`<section>
    <div class="row"><h2>Keys</h2><span class="spacer"></span><${Button} icon="attach" onClick=${() => (making.value = true)}>New key<//></div>
    ${open && html`<p class="note">Without keys, everyone on this machine may do everything. With the first key, the server asks for one.</p>`}
    ${keys.value?.length === 0 && !open && html`<${Empty} icon="key" title="No keys">Keys let programs and other people use this server.<//>`}
    <ul class="stack keys-list">
      ${keys.value?.map((key) => html`<li class="panel row wrap" key=${key.id}>
        <div class="key-text"><h3>${key.name || key.id}</h3><p class="small muted numbers">${key.prefix ? `${key.prefix}… · ` : ""}created ${day(key.created_at)}</p></div>
        ${key.scopes?.map((scope) => html`<span class="tag" key=${scope}>${scope}</span>`)}
        <span class="spacer"></span>
        <${Button} kind="danger" onClick=${() => revoke(key)}>Revoke<//>
      </li>`)}
    </ul>
    ${making.value && html`<${NewKey} onClose=${() => ((making.value = false), load())} />`}
  </section>`;
}

function NewKey({ onClose }) {
  const name = useSignal("");
  const scopes = useSignal(["read", "create"]);
  const made = useSignal(null);
  const toggle = (scope, on) => (scopes.value = on ? [...scopes.value, scope] : scopes.value.filter((other) => other !== scope));
  const save = async (event) => {
    event.preventDefault();
    made.value = (await attempt(() => api.createKey({ name: name.value.trim(), scopes: scopes.value }))) ?? null;
  };
  const copy = () => navigator.clipboard.writeText(made.value.key).then(() => toast("The key is copied."), () => toast("Select the key and copy it."));
  if (made.value) {
    return html`<${Dialog} title="Your new key" onClose=${onClose}>
      <p class="muted">It is shown only now. Keep it in a safe place.</p>
      <p class="secret"><code>${made.value.key}</code></p>
      <div class="dialog-foot"><${Button} icon="copies" onClick=${copy}>Copy<//><${Button} kind="primary" onClick=${onClose}>Done<//></div>
    <//>`;
  }
  return html`<${Dialog} title="New key" onClose=${onClose}>
    <form class="stack" onSubmit=${save}>
      <${Field} label="Name" hint="Who or what uses it."><input class="input" required maxlength="80" value=${name.value} onInput=${(event) => (name.value = event.target.value)} /><//>
      <fieldset><legend class="label">It may</legend>
        ${SCOPES.map(([scope, text]) => html`<${Check} key=${scope} label=${text} checked=${scopes.value.includes(scope)} onChange=${(on) => toggle(scope, on)} />`)}
      </fieldset>
      <div class="dialog-foot"><${Button} onClick=${onClose}>Cancel<//><button type="submit" class="button primary" disabled=${!name.value.trim() || !scopes.value.length}>Create the key</button></div>
    </form>
  <//>`;
}
