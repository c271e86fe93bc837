// Queue: what runs and what waits; order, requests and places can be changed until a job begins.
import { classes, html, useEffect, useSignal } from "../lib.js";
import { api } from "../api.js";
import { can } from "../draft.js";
import { grip, moved } from "../drag.js";
import { aspect, duration, eta, phase, size, task, title } from "../format.js";
import { attempt, fail, say } from "../notices.js";
import { link } from "../router.js";
import { isOpen, keep, loadQueue, openVideos, queue, video } from "../state.js";
import { Button, Empty, Field } from "../ui/controls.js";
import { Dialog } from "../ui/dialog.js";
import { Forming } from "../ui/forming.js";
import { Icon } from "../ui/icons.js";

const cancel = (item) => attempt(async () => keep(await api.cancel(item.id)));

const waitingIds = () => queue.value.filter((id) => video(id).value?.status === "queued");

export function Queue() {
  const editing = useSignal(null);
  useEffect(() => {
    loadQueue().catch(fail);
  }, []);
  const running = openVideos.value.filter((item) => item.status === "in_progress");
  const waiting = waitingIds();

  const move = (from, to) => {
    const before = waitingIds(); // as it is now: a drag calls this again and again
    const order = moved(before, from, to);
    queue.value = [...queue.value.filter((id) => !before.includes(id)), ...order];
    say(`Now number ${to + 1} of ${order.length}.`);
  };
  const drop = () => attempt(async () => {
    try {
      await api.reorder(waitingIds());
    } finally {
      await loadQueue();
    }
  });
  const cancelAll = () => waiting.forEach((id) => cancel(video(id).value));

  return html`<div class="page narrow">
    <header class="page-head">
      <div><h1>Queue</h1><p>Jobs go on when this page is closed.</p></div>
      ${waiting.length > 1 && html`<${Button} icon="stop" onClick=${cancelAll}>Cancel all waiting<//>`}
    </header>
    ${!running.length && !waiting.length && html`<${Empty} icon="queue" title="Nothing is waiting" action=${html`<a class="button primary" href=${link("create")}>Make a video</a>`}>
      Videos that are being made and those that wait for their turn are listed here.<//>`}
    ${running.length > 0 && html`<section class="stack" aria-label="Being made">
      <h2>Being made</h2>
      <ul class="jobs">${running.map((item) => html`<${Running} key=${item.id} item=${item} />`)}</ul>
    </section>`}
    ${waiting.length > 0 && html`<section class="stack queue-waiting" aria-label="Waiting">
      <h2>Waiting</h2>
      <ol class="jobs" data-list>
        ${waiting.map((id, i) => html`<${WaitingJob} key=${id} id=${id} index=${i} count=${waiting.length} move=${move} drop=${drop} edit=${() => (editing.value = id)} />`)}
      </ol>
    </section>`}
    ${editing.value && html`<${EditJob} id=${editing.value} onClose=${() => (editing.value = null)} />`}
  </div>`;
}

function Running({ item }) {
  return html`<li class="job running">
    <div class="tile job-picture" style=${{ aspectRatio: aspect(item) }}><${Forming} item=${item} /></div>
    <div class="job-text">
      <a href=${link("video", item.id)} class="clamp-2">${title(item)}</a>
      <progress max="100" value=${item.progress} aria-label=${`Progress of ${title(item)}`}></progress>
      <p class="small muted numbers">${phase(item)}${item.eta_seconds ? ` · ${eta(item.eta_seconds)}` : ""} · ${task(item.task)}</p>
    </div>
    <${Button} icon="stop" label="Cancel" onClick=${() => cancel(item)} />
  </li>`;
}

function WaitingJob({ id, index, count, move, drop, edit }) {
  const item = video(id).value;
  if (!item) return null;
  return html`<li class="job" data-item>
    <button type="button" class="grip" aria-label=${`Move “${title(item)}”, number ${index + 1} of ${count}. Use the arrow keys`} ...${grip(index, count, move, drop)}><${Icon} name="grip" size=${18} /></button>
    <span class="job-number numbers">${index + 1}</span>
    <div class="job-text">
      <a href=${link("video", id)} class="clamp-2">${title(item)}</a>
      <p class="small muted numbers">${[eta(item.eta_seconds), task(item.task), size(item.size), duration(item.seconds), `seed ${item.seed}`].filter(Boolean).join(" · ")}</p>
    </div>
    <${Button} icon="edit" kind="quiet" label="Edit" onClick=${edit} />
    <${Button} icon="close" kind="quiet" label="Cancel" onClick=${() => cancel(item)} />
  </li>`;
}

function EditJob({ id, onClose }) {
  const item = video(id).value;
  const busy = useSignal(false);
  const error = useSignal(null);
  useEffect(() => {
    if (item && !isOpen(item)) onClose();
  }, [item?.status]);
  if (!item) return null;
  const save = async (event) => {
    event.preventDefault();
    const form = event.target.elements;
    const fields = {};
    if (form.prompt.value.trim() !== item.prompt) fields.prompt = form.prompt.value.trim();
    if (form.seconds.value && form.seconds.value !== String(item.seconds)) fields.seconds = Number(form.seconds.value);
    if (form.seed.value !== String(item.seed)) fields.seed = Number(form.seed.value);
    if (!Object.keys(fields).length) return onClose();
    busy.value = true;
    try {
      keep(await api.change(id, fields));
      onClose();
    } catch (wrong) {
      error.value = wrong.message;
      busy.value = false;
    }
  };
  return html`<${Dialog} title="Edit the job" onClose=${onClose}>
    <form class="stack" onSubmit=${save}>
      <${Field} label="Prompt"><textarea class="input" name="prompt" rows="4" maxlength="2000">${item.prompt}</textarea><//>
      <div class="card-row even">
        <${Field} label="Seconds"><input class="input numbers" name="seconds" type="number" min="0.5" step="0.25" max=${can.value.max_seconds} value=${item.seconds} /><//>
        <${Field} label="Seed"><input class="input numbers" name="seed" type="number" min="0" step="1" value=${item.seed} /><//>
      </div>
      ${error.value && html`<p class=${classes("note bad")} role="alert">${error.value}</p>`}
      <div class="dialog-foot"><${Button} onClick=${onClose}>Cancel<//><button type="submit" class="button primary" disabled=${busy.value}>Save</button></div>
    </form>
  <//>`;
}
