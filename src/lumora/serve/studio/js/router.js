// Addresses are fragments (#/library, #/video/ID), so the server needs no rule for them.
import { signal } from "./lib.js";

const VIEWS = ["create", "library", "video", "storyboard", "queue", "provenance", "review", "settings"];

function parse() {
  const [, name = "", id = null] = location.hash.replace(/^#/, "").split("/");
  return VIEWS.includes(name) ? { name, id: id && decodeURIComponent(id) } : { name: "create", id: null };
}

export const route = signal(parse());
/** The view that the user came from; a detail view returns there. */
export const previous = signal("library");

export function navigate(name, id) {
  location.hash = id ? `/${name}/${encodeURIComponent(id)}` : `/${name}`;
}

export const link = (name, id) => (id ? `#/${name}/${encodeURIComponent(id)}` : `#/${name}`);

addEventListener("hashchange", () => {
  const next = parse();
  if (next.name === "video" && route.value.name !== "video") previous.value = route.value.name;
  route.value = next;
  scrollTo(0, 0);
});
