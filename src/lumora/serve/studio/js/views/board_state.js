// The storyboard: shots, their order and durations, and the request that they make.
import { computed, stored } from "../lib.js";
import { api } from "../api.js";
import { capabilities, ratioName, ratioOf, ratios, sizeFor } from "../capabilities.js";
import { quarter } from "../drag.js";
import { characters } from "../state.js";

export const SHORTEST = 0.5;

let keys = Date.now();
const blank = (fields = {}) => ({ key: ++keys, prompt: "", seconds: 2, hard_cut: true, picture: null, character: "", ...fields });

export const board = stored("lumora.board", { shots: [blank(), blank()], ratio: null, seed: null, video: null });

export const boardCan = computed(() => capabilities(null));
export const total = computed(() => board.value.shots.reduce((sum, shot) => sum + shot.seconds, 0));
export const boardRatio = computed(() => board.value.ratio ?? ratios(boardCan.value)[0][0]);
/** Second at which each shot begins. */
export const starts = computed(() => {
  let time = 0;
  return board.value.shots.map((shot) => (time += shot.seconds) - shot.seconds);
});

export const change = (fields) => (board.value = { ...board.value, ...fields });
export const changeShot = (index, fields) =>
  change({ shots: board.value.shots.map((shot, i) => (i === index ? { ...shot, ...fields } : shot)) });

export function addShot(after = board.value.shots.length - 1) {
  const shots = [...board.value.shots];
  shots.splice(after + 1, 0, blank());
  change({ shots });
}

export const removeShot = (index) => change({ shots: board.value.shots.filter((_shot, i) => i !== index) });
export const clearBoard = () => change({ shots: [blank(), blank()], ratio: null, seed: null, video: null });

/** Moves the cut after shot `index` so that the shot lasts `seconds`; the next shot gives or takes the time. */
export function moveCut(index, seconds) {
  const { shots } = board.value;
  const next = shots[index + 1];
  const both = shots[index].seconds + (next?.seconds ?? 0);
  const most = next ? both - SHORTEST : boardCan.value.max_seconds - total.value + shots[index].seconds;
  const length = Math.min(Math.max(quarter(seconds), SHORTEST), most);
  change({
    shots: shots.map((shot, i) => {
      if (i === index) return { ...shot, seconds: length };
      return next && i === index + 1 ? { ...shot, seconds: both - length } : shot;
    }),
  });
}

/** The prompt of a shot; its character is mentioned in it. */
function shotPrompt({ prompt, character }) {
  const name = characters.value.find((one) => one.id === character)?.name;
  const text = prompt.trim();
  return !name || text.toLowerCase().includes(`@${name.toLowerCase()}`) ? text : `@${name} ${text}`.trim();
}

/** Puts the shots of a request on the board. */
export function restoreBoard({ shots, size, seed = null }) {
  const cards = shots.map(({ prompt, seconds, hard_cut = true }) => blank({ prompt, seconds, hard_cut }));
  change({ shots: cards, ratio: size ? ratioName(boardCan.value, size) : null, seed, video: null });
}

export function sendBoard() {
  const { shots, seed } = board.value;
  const references = shots.flatMap((shot, shot_index) => (shot.picture ? [{ file_id: shot.picture.id, position: 0, shot_index }] : []));
  const characters = [...new Set(shots.map((shot) => shot.character).filter(Boolean))].map((id) => ({ id }));
  const body = {
    shots: shots.map((shot) => ({ prompt: shotPrompt(shot), seconds: shot.seconds, hard_cut: shot.hard_cut })),
    size: sizeFor(boardCan.value, ratioOf(boardRatio.value)),
  };
  if (references.length) body.references = references;
  if (characters.length) body.characters = characters;
  if (seed !== null) body.seed = seed;
  return api.create(body);
}
