// Line icons on a grid of 24, drawn for the studio.
import { html } from "../lib.js";

const PATHS = {
  create: "M12 4v16M4 12h16",
  library: "M4 5h7v6H4zM13 5h7v10h-7zM4 13h7v6H4zM13 17h7v2h-7z",
  storyboard: "M3 7h18v10H3zM9 7v10M15 7v10M5 4v3M12 4v3M19 4v3",
  queue: "M4 6h16M4 12h11M4 18h7M18 14v6M15.5 17.5 18 20l2.5-2.5",
  provenance: "M12 3l7 3v5c0 4.5-3 8-7 10-4-2-7-5.5-7-10V6zM9 12l2.2 2.2L15.5 10",
  review: "M4 5h16v11H9l-5 4zM8 9h8M8 12h5",
  settings: "M4 7h9M17 7h3M4 17h3M11 17h9M15 5v4M9 15v4",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  play: "M8 5.5v13l10.5-6.5z",
  pause: "M8.5 5.5v13M15.5 5.5v13",
  loop: "M4 12a5 5 0 0 1 5-5h10M16 4l3 3-3 3M20 12a5 5 0 0 1-5 5H5M8 20l-3-3 3-3",
  expand: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  mute: "M4 9.5v5h3.5L12 18V6L7.5 9.500zM16 10l4 4M20 10l-4 4",
  sound: "M4 9.5v5h3.5L12 18V6L7.5 9.500zM15.5 9a4 4 0 0 1 0 6M18 6.500a8 8 0 0 1 0 11",
  heart: "M12 19.500C5 14.5 3.5 11.5 3.5 9A4.3 4.3 0 0 1 12 7.5 4.3 4.3 0 0 1 20.5 9c0 2.5-1.5 5.5-8.5 10.500z",
  search: "M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13zM15.5 15.5 20 20",
  close: "M6 6l12 12M18 6 6 18",
  check: "M5 12.5 10 17.5 19.5 7",
  alert: "M12 4 2.5 20h19zM12 10v4.500M12 17.200v.01",
  question: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM9.5 9.500a2.5 2.5 0 1 1 3.6 2.200c-.8.4-1.1.9-1.1 1.800M12 16.500v.01",
  image: "M4 5h16v14H4zM4 16l4.5-4.5 4 4L15 13l5 4.500M15.5 9.500h.01",
  film: "M4 5h16v14H4zM10 9v6l5-3z",
  dice: "M7.5 5h9A2.5 2.5 0 0 1 19 7.5v9a2.5 2.5 0 0 1-2.5 2.5h-9A2.5 2.5 0 0 1 5 16.5v-9A2.5 2.5 0 0 1 7.5 5zM9.400 15a.4.4 0 1 1-.8 0 .4.4 0 0 1 .8 0zM12.400 12a.4.4 0 1 1-.8 0 .4.4 0 0 1 .8 0zM15.400 9a.4.4 0 1 1-.8 0 .4.4 0 0 1 .8 0z",
  lock: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3",
  clock: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 7.500V12l3 2",
  sliders: "M4 7h9M17 7h3M4 17h3M11 17h9M15 5v4M9 15v4",
  copies: "M8 8h11v11H8zM5 15V5h10",
  attach: "M12 5v14M5 12h14",
  upload: "M12 16V4M7.5 8.5 12 4l4.5 4.500M4 16v4h16v-4",
  download: "M12 4v12M7.5 11.5 12 16l4.5-4.500M4 16v4h16v-4",
  remix: "M4 7h3.500c5 0 4 10 9 10H20M17 14l3 3-3 3M4 17h3.500c1.5 0 2.5-.9 3.2-2.200M13.3 9.200C14 7.9 15 7 16.5 7H20M17 4l3 3-3 3",
  forward: "M4 6h9v12H4zM16 12h5M18.5 9.5 21 12l-2.5 2.5",
  backward: "M11 6h9v12h-9zM8 12H3M5.5 9.5 3 12l2.5 2.5",
  connect: "M3 7h6v10H3zM15 7h6v10h-6zM9 12h6",
  edit: "M5 19l1-4L16 5l3 3L9 18zM14 7l3 3",
  cut: "M6.5 8.500a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM6.5 20.500a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM8.5 7.5 20 17M8.5 16.5 20 7",
  flag: "M6 21V4h11l-2 4 2 4H6",
  trash: "M5 7h14M10 7V4.500h4V7M7 7l.8 13h8.400L17 7M10.5 11v5.500M13.5 11v5.5",
  tag: "M4 12V4h8l8 8-8 8zM8.5 8.500h.01",
  back: "M14.5 6 8.5 12l6 6",
  next: "M9.5 6l6 6-6 6",
  grip: "M9 6h.01M15 6h.01M9 12h.01M15 12h.01M9 18h.01M15 18h.01",
  person: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.5 20.500a7.5 7.5 0 0 1 15 0",
  stop: "M7 7h10v10H7z",
  details: "M4 6h16M4 11h9M4 16h6M17 12.5l1 3 3 1-3 1-1 3-1-3-3-1 3-1z",
  restore: "M4 12a8 8 0 1 0 2.5-5.800M4 4v4.500h4.5",
  eye: "M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12zM12 14.500a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z",
  drop: "M12 3.500s6 6.2 6 10.500a6 6 0 0 1-12 0c0-4.3 6-10.5 6-10.500z",
  key: "M14.5 13.500a5 5 0 1 0-4-4L4 16v4h4v-3h3v-3z",
};

export function Icon({ name, size = 20 }) {
  const dots = name === "more" || name === "grip";
  return html`<svg
    width=${size} height=${size} viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width=${dots ? 2.2 : 1.6}
    stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false"
  ><path d=${PATHS[name]} /></svg>`;
}

export function Brand() {
  return html`<svg width="34" height="34" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
    <path d="M8 19.500a8 8 0 0 1 16 0z" fill="currentColor" />
    <path d="M5.5 23.200h21" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" />
  </svg>`;
}
