// The manifest of a file as a tree: what it says of itself, and the files it was made from.
import { html } from "../lib.js";
import { day } from "../format.js";

const STATES = {
  trusted: ["Unchanged, signer trusted", "ok"],
  intact: ["Unchanged", "ok"],
  valid: ["Unchanged", "ok"],
  tampered: ["Changed after signing", "bad"],
  expired: ["Certificate expired", ""],
  "not yet valid": ["Certificate not valid yet", ""],
  absent: ["No record", ""],
  remote: ["Record is elsewhere", ""],
  unreadable: ["Unreadable", "bad"],
};

function facts(node) {
  return [
    ["Prompt", node.prompt],
    ["Seed", node.seed],
    ["Made with", node.generator ?? node.claim_generator],
    ["Made", day(node.made_at)],
    ["Signed by", node.signer],
    ["Signed", day(node.signed_at)],
    ["Certificate valid until", day(node.valid_until)],
    ["Use", node.relation_explanation],
  ].filter(([, value]) => value !== null && value !== undefined && value !== "");
}

function Node({ node, top }) {
  const [word, kind] = STATES[node.state] ?? [node.state, ""];
  const children = node.ingredients ?? [];
  return html`<li class="node">
    <details open=${top}>
      <summary><strong>${node.title ?? (top ? "This file" : "A file")}</strong>${word && html`<span class=${`tag ${kind}`}>${word}</span>`}</summary>
      <dl class="facts">${facts(node).map(([name, value]) => html`<dt key=${name}>${name}</dt><dd>${String(value)}</dd>`)}</dl>
      ${node.problems?.length > 0 && html`<ul class="note bad">${node.problems.map((text) => html`<li key=${text}>${text}</li>`)}</ul>`}
      ${children.length > 0 && html`<p class="small muted">Made from</p><ul class="tree">${children.map((child, i) => html`<${Node} key=${i} node=${child} />`)}</ul>`}
    </details>
  </li>`;
}

export function Manifest({ manifest }) {
  if (!manifest || manifest.state === "absent") return null;
  return html`<section class="panel" aria-label="Signed record"><h2>What the signed record says</h2><ul class="tree"><${Node} node=${manifest} top /></ul></section>`;
}
