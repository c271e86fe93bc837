// Dragging by mouse, pen and touch with pointer events; the same handles answer to arrow keys.

/** Starts a drag on pointerdown. `onMove` gets the distance from the start in pixels, and the event. */
export function startDrag(event, onMove, onEnd) {
  if (event.button > 0) return;
  event.preventDefault();
  event.stopPropagation();
  const handle = event.currentTarget;
  const { clientX: x, clientY: y, pointerId } = event;
  handle.focus({ preventScroll: true });
  handle.setPointerCapture(pointerId);
  const move = (next) => next.pointerId === pointerId && onMove(next.clientX - x, next.clientY - y, next);
  const end = (last) => {
    if (last.pointerId !== pointerId) return;
    handle.removeEventListener("pointermove", move);
    handle.removeEventListener("pointerup", end);
    handle.removeEventListener("pointercancel", end);
    onEnd?.(last);
  };
  handle.addEventListener("pointermove", move);
  handle.addEventListener("pointerup", end);
  handle.addEventListener("pointercancel", end);
}

/** The index that an item dragged to this point takes among `items`, elements in their order. */
function indexAt(items, x, y, vertical) {
  const before = items.filter((item) => {
    const box = item.getBoundingClientRect();
    return vertical ? y > box.top + box.height / 2 : x > box.left + box.width / 2;
  });
  return before.length;
}

/**
 * Handlers of a grip that reorders a list. The list is the grip's closest [data-list], its items are [data-item].
 * `move(from, to)` is called while the pointer moves; `drop` at the end.
 */
export function grip(index, count, move, drop, vertical = true) {
  const back = vertical ? "ArrowUp" : "ArrowLeft";
  const on = vertical ? "ArrowDown" : "ArrowRight";
  return {
    onPointerDown: (event) => {
      const list = event.currentTarget.closest("[data-list]");
      let here = index;
      startDrag(
        event,
        (_dx, _dy, { clientX, clientY }) => {
          const others = [...list.querySelectorAll("[data-item]")].filter((_item, i) => i !== here);
          const to = indexAt(others, clientX, clientY, vertical);
          if (to === here) return;
          move(here, to);
          here = to;
        },
        () => drop?.(),
      );
    },
    onKeyDown: (event) => {
      const to = index + (event.key === on ? 1 : event.key === back ? -1 : 0);
      if (to === index || to < 0 || to >= count) return;
      event.preventDefault();
      event.stopPropagation();
      const handle = event.currentTarget;
      move(index, to);
      drop?.();
      requestAnimationFrame(() => handle.focus()); // moving an element can take its focus
    },
  };
}

export function moved(list, from, to) {
  const copy = [...list];
  copy.splice(to, 0, ...copy.splice(from, 1));
  return copy;
}

/** Rounds to quarters of a second. */
export const quarter = (seconds) => Math.round(4 * seconds) / 4;
