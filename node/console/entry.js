// One entry of a list in full: every field of it, what is nested set out, and what can be done with it.

import { announce, h } from "./dom.js";
import { clock } from "./format.js";

const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/;

function shown(value) {
  if (value === null || value === undefined || value === "") return h("span", { class: "faint" }, "nothing");
  if (typeof value === "object") return h("pre", { class: "code", tabindex: 0 }, JSON.stringify(value, null, 2));
  const text = String(value);
  if (/^https?:\/\/\S+$/.test(text)) return h("a", { href: text, target: "_blank", rel: "noreferrer noopener" }, text);
  if (MOMENT.test(text)) return h("time", { datetime: text, title: text }, clock(new Date(text)));
  return text;
}

/** The fields of an entry with their values. */
export const fieldsOf = (entry) => h("dl", { tabindex: 0, class: "fields" },
  Object.entries(entry).map(([name, value]) => [h("dt", {}, name), h("dd", {}, shown(value))]));

/** Shows an entry until it is closed; `actions` are further buttons. */
export function showEntry(what, entry, actions = []) {
  const text = JSON.stringify(entry, null, 2);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    announce("Copied as JSON.");
  };
  const dialog = h("dialog", { class: "dialog entry", "aria-label": `One ${what} in full`, onclose: () => dialog.remove(),
    onclick: (event) => event.target === dialog && dialog.close() },
  fieldsOf(entry),
  h("div", { class: "actions" }, actions, navigator.clipboard ? h("button", { type: "button", class: "button", onclick: copy }, "Copy as JSON") : null,
    h("button", { type: "button", class: "button primary", autofocus: true, onclick: () => dialog.close() }, "Close")));
  document.body.append(dialog);
  dialog.showModal();
}
