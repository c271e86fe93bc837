// What every module needs: htm bound to preact, hooks and signals.
import { h, render, Fragment } from "preact";
import { useEffect, useLayoutEffect, useRef, useId } from "preact/hooks";
import { signal, computed, effect, batch, useSignal, useComputed, useSignalEffect } from "@preact/signals";
import htm from "htm";

export const html = htm.bind(h);
export { h, render, Fragment, useEffect, useLayoutEffect, useRef, useId };
export { signal, computed, effect, batch, useSignal, useComputed, useSignalEffect };

/** Joins class names and drops the falsy ones. */
export const classes = (...names) => names.filter(Boolean).join(" ");

/** A signal that is kept in localStorage. */
export function stored(key, initial) {
  let value = initial;
  try {
    value = JSON.parse(localStorage.getItem(key)) ?? initial;
  } catch {
    localStorage.removeItem(key);
  }
  const kept = signal(value);
  effect(() => {
    try {
      localStorage.setItem(key, JSON.stringify(kept.value));
    } catch {
      // Storage is full or closed: the value lives as long as the page.
    }
  });
  return kept;
}
