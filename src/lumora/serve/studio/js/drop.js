// Files that are dropped on the window, pasted, or picked; each view says what it does with them.
import { signal, useEffect } from "./lib.js";

/** The view's answer to a drop: {label, use(files)}. */
export const dropTarget = signal(null);
export const dragging = signal(false);

/** While the component is shown, dropped files go to `use`. */
export function useDrop(label, use) {
  useEffect(() => {
    const target = { label, use };
    dropTarget.value = target;
    return () => dropTarget.value === target && (dropTarget.value = null);
  });
}

const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
const isMedia = (file) => /^(image|video)\//.test(file.type) || file.type === "";

let depth = 0;

export function listenForDrops() {
  addEventListener("dragenter", (event) => {
    if (!hasFiles(event)) return;
    depth += 1;
    dragging.value = true;
  });
  addEventListener("dragleave", (event) => {
    if (!hasFiles(event)) return;
    depth = Math.max(0, depth - 1);
    if (!depth) dragging.value = false;
  });
  addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth = 0;
    dragging.value = false;
    const files = [...event.dataTransfer.files];
    if (files.length) dropTarget.value?.use(files);
  });
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])].filter(isMedia);
    if (files.length) dropTarget.value?.use(files);
  });
}
