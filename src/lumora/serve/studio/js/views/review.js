// Review: reports of videos and appeals against refused prompts, and the decisions on them.
import { html, signal, useEffect, useSignal } from "../lib.js";
import { api } from "../api.js";
import { day } from "../format.js";
import { attempt, toast } from "../notices.js";
import { link } from "../router.js";
import { hasScope } from "../state.js";
import { Button, Choice, Empty, Field } from "../ui/controls.js";
import { Icon } from "../ui/icons.js";

const cases = signal(null);
const refused = signal([]);
const shown = signal("open");

const KIND = { report: "Report of a video", appeal: "Appeal against a refusal" };
const TABS = [["open", "Open"], ["decided", "Decided"], ["refused", "Refused videos"]];
const RULINGS = {
  report: [["uphold", "The video is fine"], ["overturn", "The video is harmful"]],
  appeal: [["uphold", "The refusal was right"], ["overturn", "The prompt is harmless"]],
};

export function Review() {
  useEffect(() => {
    if (hasScope("review")) attempt(async () => {
      const [all, stopped] = await Promise.all([api.cases(), api.refused()]);
      cases.value = all.data;
      refused.value = stopped.data;
    });
  }, []);
  if (!hasScope("review")) {
    return html`<div class="page narrow"><h1>Review</h1><${Empty} icon="review" title="For reviewers only">Your key does not have the scope “review”.<//></div>`;
  }
  return html`<div class="page narrow">
    <header class="page-head">
      <div><h1>Review</h1><p>Reports of published videos and appeals against refused prompts.</p></div>
      <${Choice} legend="Cases" hideLegend value=${shown.value} options=${TABS} onChange=${(value) => (shown.value = value)} />
    </header>
    ${shown.value === "refused" ? html`<${Refused} />` : html`<${Cases} open=${shown.value === "open"} />`}
  </div>`;
}

function Cases({ open }) {
  const list = cases.value?.filter((item) => open === !item.decision);
  if (!list) return html`<div class="stack" role="status"><span class="visually-hidden">Loading</span><div class="skeleton verdict-wait"></div><div class="skeleton verdict-wait"></div></div>`;
  if (!list.length) return html`<${Empty} icon="check" title=${open ? "All cases are decided" : "No decisions yet"}>New reports and appeals appear under “Open”.<//>`;
  return html`<ul class="stack">${list.map((item) => html`<${Case} key=${item.id} item=${item} />`)}</ul>`;
}

/** Videos whose frames were refused. They were never stored, so there is nothing to look at. */
function Refused() {
  if (!refused.value.length) return html`<${Empty} icon="check" title="No video was refused">Videos that the frame review refuses are listed here. Their frames are not kept.<//>`;
  return html`<ul class="stack">${refused.value.map((item) => html`<li class="panel case" key=${item.id}>
    <span class="small muted numbers">${day(item.created_at)}</span><blockquote>${item.prompt}</blockquote><p class="muted">${item.message}</p>
  </li>`)}</ul>`;
}

function Case({ item }) {
  return html`<li><article class="panel case">
    <div class="row wrap">
      <span class=${`tag ${item.kind === "report" ? "bad" : "live"}`}>${KIND[item.kind] ?? item.kind}</span>
      ${item.refused?.map((name) => html`<span class="tag" key=${name}>${name}</span>`)}
      <span class="spacer"></span><span class="small muted numbers">${item.id} · ${day(item.created_at)}</span>
    </div>
    ${item.prompt && html`<blockquote>${item.prompt}</blockquote>`}
    ${item.reason && html`<p><span class="muted">Reason given:</span> ${item.reason}</p>`}
    ${item.video_id && html`<p><a class="button" href=${link("video", item.video_id)}><${Icon} name="film" size=${18} /><span>Look at the video</span></a></p>`}
    ${item.decision ? html`<${Decision} item=${item} />` : html`<${Decide} item=${item} />`}
  </article></li>`;
}

function Decision({ item }) {
  const { ruling, note, created_at: at } = item.decision;
  const words = Object.fromEntries(RULINGS[item.kind] ?? RULINGS.report);
  return html`<p class="note"><strong>${words[ruling] ?? ruling}</strong>, ${day(at)}. ${note}</p>`;
}

function Decide({ item }) {
  const ruling = useSignal(null);
  const note = useSignal("");
  const category = useSignal("");
  const harmful = ruling.value === (item.kind === "report" ? "overturn" : "uphold");
  const send = async (event) => {
    event.preventDefault();
    const body = { ruling: ruling.value, note: note.value };
    if (harmful && category.value) body.category = category.value;
    const decided = await attempt(() => api.decide(item.id, body));
    if (!decided) return;
    cases.value = cases.value.map((other) => (other.id === item.id ? { ...other, decision: decided.decision ?? { ...body, created_at: new Date().toISOString() } } : other));
    toast("The decision is recorded.");
  };
  return html`<form class="stack decide" onSubmit=${send}>
    <${Choice} legend="Decision" options=${RULINGS[item.kind] ?? RULINGS.report} value=${ruling.value} onChange=${(value) => (ruling.value = value)} />
    ${ruling.value && html`
      ${harmful && html`<${Field} label="Category" hint="Of the policy, such as violence.">
        <input class="input" list="categories" required=${item.kind === "report"} value=${category.value} onInput=${(event) => (category.value = event.target.value)} />
      <//>`}
      <${Field} label="Note"><textarea class="input" rows="2" maxlength="2000" value=${note.value} onInput=${(event) => (note.value = event.target.value)}></textarea><//>
      <div class="row"><button type="submit" class="button primary">Record the decision</button><${Button} kind="quiet" onClick=${() => (ruling.value = null)}>Not now<//></div>`}
  </form>`;
}
