// A report of a finished video to the reviewers.
import { html, useSignal } from "../lib.js";
import { api } from "../api.js";
import { attempt, toast } from "../notices.js";
import { Button, Check, Field } from "./controls.js";
import { Dialog } from "./dialog.js";

export function ReportDialog({ item, onClose }) {
  const reason = useSignal("");
  const allow = useSignal(false);
  const send = async (event) => {
    event.preventDefault();
    const sent = await attempt(() => api.report(item.id, { reason: reason.value, allow_training: allow.value }));
    if (!sent) return;
    toast("Thank you. The reviewers will look at it.");
    onClose();
  };
  return html`<${Dialog} title="Report this video" onClose=${onClose}>
    <form class="stack" onSubmit=${send}>
      <${Field} label="What is wrong with it?">
        <textarea class="input" required maxlength="2000" value=${reason.value} onInput=${(event) => (reason.value = event.target.value)}></textarea>
      <//>
      <${Check} label="The prompt may be used to train the checks" checked=${allow.value} onChange=${(value) => (allow.value = value)} />
      <div class="dialog-foot"><${Button} onClick=${onClose}>Cancel<//><button type="submit" class="button primary">Send the report</button></div>
    </form>
  <//>`;
}
