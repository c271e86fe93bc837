// What a user tells the reviewers: a report of a video, or an appeal against a refusal.
import { html, useSignal } from "../lib.js";
import { attempt, toast } from "../notices.js";
import { Button, Check, Field } from "./controls.js";
import { Dialog } from "./dialog.js";

/** `send` gets {reason, allow_training}. */
export function ComplaintDialog({ title, label, send, onClose }) {
  const reason = useSignal("");
  const allow = useSignal(false);
  const submit = async (event) => {
    event.preventDefault();
    const sent = await attempt(() => send({ reason: reason.value.trim(), allow_training: allow.value }));
    if (!sent) return;
    toast("Thank you. The reviewers will look at it.");
    onClose();
  };
  return html`<${Dialog} title=${title} onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      <${Field} label=${label}>
        <textarea class="input" required maxlength="2000" value=${reason.value} onInput=${(event) => (reason.value = event.target.value)}></textarea>
      <//>
      <${Check} label="The prompt may be used to train the checks" checked=${allow.value} onChange=${(value) => (allow.value = value)} />
      <div class="dialog-foot"><${Button} onClick=${onClose}>Cancel<//><button type="submit" class="button primary" disabled=${!reason.value.trim()}>Send</button></div>
    </form>
  <//>`;
}
