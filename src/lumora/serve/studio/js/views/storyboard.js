// Storyboard: shots as cards on a time line; and, in the second tab, a finished video that is cut again.
import { classes, html, useSignal } from "../lib.js";
import { api } from "../api.js";
import { ratios } from "../capabilities.js";
import { grip, moved, quarter } from "../drag.js";
import { useDrop } from "../drop.js";
import { duration, eta, phase } from "../format.js";
import { ask, attempt, say } from "../notices.js";
import { navigate, route } from "../router.js";
import { addNew, characters, isDone, isOpen, keep, video } from "../state.js";
import { CharacterDialog } from "../ui/characters.js";
import { Button, Choice, Field, FileButton, Shape } from "../ui/controls.js";
import { Filmstrip } from "../ui/filmstrip.js";
import { Forming } from "../ui/forming.js";
import { Icon } from "../ui/icons.js";
import { Player } from "../ui/player.js";
import { SHORTEST, addShot, board, boardCan, boardRatio, change, changeShot, clearBoard, removeShot, sendBoard, starts, total } from "./board_state.js";
import { Recut } from "./recut.js";
import { TimeLine } from "./time_line.js";

export function Storyboard() {
  const recut = route.value.id === "recut";
  const tab = (id, text, here) => html`<a class="tab" href=${`#/storyboard${id}`} aria-current=${here ? "page" : undefined}>${text}</a>`;
  return html`<div class="page">
    <header class="page-head">
      <div><h1>Storyboard</h1></div>
      <nav class="tabs" aria-label="Storyboard">${tab("", "New", !recut)}${tab("/recut", "Re-cut a video", recut)}</nav>
    </header>
    ${recut ? html`<${Recut} />` : html`<${Board} />`}
  </div>`;
}

async function attachPicture(index, file) {
  const uploaded = await attempt(() => api.upload(file));
  if (uploaded) changeShot(index, { picture: { id: uploaded.id, url: uploaded.url, kind: uploaded.kind, name: uploaded.filename } });
}

function Board() {
  const chosen = useSignal(0);
  const busy = useSignal(false);
  const making = useSignal(null); // index of the shot that a new character is for
  const { shots } = board.value;
  useDrop("Drop it to begin the chosen shot with it", ([file]) => attachPicture(Math.min(chosen.value, shots.length - 1), file));
  const empty = shots.findIndex((shot) => !shot.prompt.trim() && !shot.picture);
  const tooLong = total.value > boardCan.value.max_seconds;
  const reorder = (from, to) => {
    change({ shots: moved(board.value.shots, from, to) });
    chosen.value = to;
    say(`Shot ${from + 1} is now shot ${to + 1}.`);
  };
  const make = async () => {
    if (empty >= 0) {
      document.getElementById(`shot-${empty}`)?.focus();
      say(`Shot ${empty + 1} has no prompt.`);
      return;
    }
    busy.value = true;
    const item = await attempt(sendBoard);
    busy.value = false;
    if (!item) return;
    addNew([item]);
    change({ video: item.id });
  };
  const clear = async () => (await ask("Clear the storyboard?", { text: "Finished videos stay in the library.", confirm: "Clear", danger: true })) && clearBoard();

  return html`<div class="board">
    <${Result} />
    <${TimeLine} chosen=${chosen} />
    <ol class="cards" data-list>
      ${shots.map((shot, i) => html`<${Card} key=${shot.key} shot=${shot} index=${i} count=${shots.length} chosen=${chosen} reorder=${reorder} onCharacter=${() => (making.value = i)} />`)}
      <li class="card add"><button type="button" disabled=${shots.length >= boardCan.value.max_shots} onClick=${() => addShot()}><${Icon} name="attach" size=${24} />Add a shot</button></li>
    </ol>
    <div class="board-foot">
      <${Choice} legend="Shape" hideLegend value=${boardRatio.value} onChange=${(ratio) => change({ ratio })}
        options=${ratios(boardCan.value).map(([name, ratio]) => [name, html`<${Shape} ratio=${ratio} />${name}`])} />
      ${board.value.seed !== null && html`<button type="button" class="chip" aria-label=${`Seed ${board.value.seed}: use a new one`} onClick=${() => change({ seed: null })}><${Icon} name="lock" size=${16} />Seed ${board.value.seed}<${Icon} name="close" size=${14} /></button>`}
      <span class="spacer"></span>
      <span class=${classes("small numbers", tooLong ? "too-long" : "muted")}>${duration(total.value)}${tooLong ? `, at most ${duration(boardCan.value.max_seconds)}` : ` in ${shots.length} shots`}</span>
      <${Button} kind="quiet" icon="restore" onClick=${clear}>Clear<//>
      <${Button} kind="primary" disabled=${busy.value || tooLong} onClick=${make}>Make the video<//>
    </div>
    ${making.value !== null && html`<${CharacterDialog} onClose=${() => (making.value = null)} onMade=${(one) => changeShot(making.value, { character: one.id })} />`}
  </div>`;
}

function Card({ shot, index, count, chosen, reorder, onCharacter }) {
  const { key, prompt, seconds, hard_cut: hard, picture, character } = shot;
  const number = index + 1;
  const pickCharacter = (event) => (event.target.value === "new" ? onCharacter() : changeShot(index, { character: event.target.value }));
  return html`<li class=${classes("card", chosen.value === index && "chosen")} data-item onFocusIn=${() => (chosen.value = index)} onPointerDown=${() => (chosen.value = index)}>
    <div class="card-head">
      <button type="button" class="grip" aria-label=${`Move shot ${number}`} ...${grip(index, count, reorder, null, false)}><${Icon} name="grip" size=${18} /></button>
      <h2>Shot ${number}</h2>
      <span class="small muted numbers">from ${duration(starts.value[index])}</span>
      <span class="spacer"></span>
      ${count > 1 && html`<${Button} icon="trash" kind="quiet" label=${`Remove shot ${number}`} onClick=${() => removeShot(index)} />`}
    </div>
    ${picture
      ? html`<div class="card-picture">
          ${picture.kind === "video" ? html`<video src=${picture.url} muted loop autoplay playsinline aria-label=${picture.name} tabindex="-1"></video>` : html`<img src=${picture.url} alt=${picture.name} />`}
          <${Button} icon="close" label="Remove the picture" onClick=${() => changeShot(index, { picture: null })} />
        </div>`
      : html`<${FileButton} label=${`Picture of shot ${number}`} icon="image" kind="card-drop" onFiles=${([file]) => attachPicture(index, file)}>Begin with a picture<//>`}
    <textarea id=${`shot-${index}`} class="input" rows="3" maxlength="2000" aria-label=${`Prompt of shot ${number}`} placeholder="What happens in this shot?" value=${prompt} onInput=${(event) => changeShot(index, { prompt: event.target.value })}></textarea>
    <div class="card-row">
      <${Field} label="Seconds"><input class="input numbers" type="number" min=${SHORTEST} step="0.25" value=${seconds} onChange=${(event) => changeShot(index, { seconds: Math.max(SHORTEST, quarter(Number(event.target.value)) || 2) })} /><//>
      <${Field} label="Character"><select class="input" value=${character} onChange=${pickCharacter}>
        <option value="">None</option>
        ${characters.value.map((one) => html`<option value=${one.id} key=${one.id}>${one.name}</option>`)}
        <option value="new">New…</option>
      </select><//>
    </div>
    ${index > 0 && html`<${Choice} legend=${`Transition to shot ${number}`} hideLegend value=${hard} onChange=${(value) => changeShot(index, { hard_cut: value })} options=${[[true, "Cut"], [false, "Continuous"]]} />`}
  </li>`;
}

/** The video that was made of this storyboard, with its strip. */
function Result() {
  const time = useSignal(0);
  const wanted = useSignal(undefined);
  const item = board.value.video ? video(board.value.video).value : null;
  if (!item) return null;
  if (isOpen(item)) {
    const cancel = () => attempt(async () => keep(await api.cancel(item.id)));
    return html`<section class="result" aria-label="Preview">
      <div class="tile result-forming"><${Forming} item=${item} /></div>
      <div class="row"><span class="muted numbers">${phase(item)} ${eta(item.eta_seconds)}</span><${Button} icon="stop" kind="quiet" onClick=${cancel}>Cancel<//></div>
    </section>`;
  }
  if (!isDone(item) || !item.urls) {
    return html`<p class="note bad">${item.error?.message ?? "The video could not be made."}</p>`;
  }
  const length = item.made?.seconds ?? total.value;
  const seek = (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    wanted.value = (length * (event.clientX - box.left)) / box.width;
  };
  return html`<section class="result" aria-label="Finished video">
    <${Player} key=${item.id} item=${item} position=${wanted.value} onTime=${(now) => (time.value = now)} />
    <div class="strip" onPointerDown=${seek}>
      <${Filmstrip} url=${item.urls.video} end=${length} />
      <i class="head" style=${{ left: `${(100 * time.value) / length}%` }}></i>
    </div>
    <div class="row"><${Button} kind="quiet" icon="next" onClick=${() => navigate("video", item.id)}>Open<//></div>
  </section>`;
}
