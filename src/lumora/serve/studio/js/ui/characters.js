// Making a character: a name, a description, a picture.
import { html, useSignal } from "../lib.js";
import { api } from "../api.js";
import { attempt, toast } from "../notices.js";
import { characters } from "../state.js";
import { Button, Field, FileButton } from "./controls.js";
import { Dialog } from "./dialog.js";

export function CharacterDialog({ onClose, onMade }) {
  const name = useSignal("");
  const description = useSignal("");
  const file = useSignal(null);
  const busy = useSignal(false);
  const save = async (event) => {
    event.preventDefault();
    const form = new FormData();
    form.append("name", name.value.trim());
    form.append("description", description.value.trim());
    if (file.value) form.append(file.value.type.startsWith("video") ? "video" : "picture", file.value, file.value.name);
    busy.value = true;
    const made = await attempt(() => api.createCharacter(form));
    busy.value = false;
    if (!made) return;
    characters.value = [...characters.value, made];
    toast(`${made.name} can now be used in prompts and storyboards.`);
    onMade?.(made);
    onClose();
  };
  return html`<${Dialog} title="New character" onClose=${onClose}>
    <form class="stack" onSubmit=${save}>
      <${Field} label="Name"><input class="input" required maxlength="80" value=${name.value} onInput=${(event) => (name.value = event.target.value)} /><//>
      <${Field} label="Description" hint="What stands for @name in a prompt.">
        <textarea class="input" rows="2" maxlength="500" value=${description.value} onInput=${(event) => (description.value = event.target.value)}></textarea>
      <//>
      <div class="row">
        <${FileButton} label="Picture or video of the character" icon="image" onFiles=${([picked]) => (file.value = picked)}>${file.value ? "Change picture" : "Add a picture"}<//>
        <span class="small muted clamp-1">${file.value?.name}</span>
      </div>
      <div class="dialog-foot">
        <${Button} onClick=${onClose}>Cancel<//>
        <button type="submit" class="button primary" disabled=${busy.value || !name.value.trim()}>Save</button>
      </div>
    </form>
  <//>`;
}
