// Hosts whose owners do not want to be visited: no job goes there until that is taken back.

import { ask, live, session } from "./api.js";
import { announce, fill, h, trouble } from "./dom.js";
import { when } from "./format.js";

const LOOK_MS = 5000;

/** The list with a field to add to it; `end` stops looking. */
export function optOuts() {
  const failure = h("div");
  const list = h("ul", { class: "optouts" });
  const host = h("input", { id: "optout", type: "text", required: true, autocomplete: "off", spellcheck: "false", placeholder: "shop.example" });
  const note = h("input", { id: "optout-note", type: "text", autocomplete: "off", placeholder: "a mail of 3 May" });
  const mayWrite = session.may("hosts:write");
  let drawn = "";
  const element = h("section", { class: "aside" }, h("h2", { class: "section" }, "Not to be visited"),
    h("p", { class: "hint" }, "Owners may ask to be left alone. No job goes to such a host, or to any below it; what is found of it is skipped as ", h("code", {}, "optedOut"), "."),
    failure, list, mayWrite ? h("form", { class: "row optout-form", onsubmit: add },
      h("div", {}, h("label", { for: "optout" }, "Host"), host), h("div", {}, h("label", { for: "optout-note" }, "Who asked for it"), note),
      h("button", { class: "button", type: "submit" }, "Leave alone")) : null);

  async function change(path, options, words) {
    try {
      await ask(path, options);
      announce(words);
      fill(failure);
      drawn = "";
      await look();
    } catch (problem) {
      fill(failure, trouble(problem));
    }
  }

  async function add(event) {
    event.preventDefault();
    const name = host.value.trim();
    const body = JSON.stringify({ host: name, ...(note.value.trim() ? { note: note.value.trim() } : {}) });
    await change("/v1/optouts", { method: "POST", body, headers: { "Content-Type": "application/json" } }, `${name} is left alone.`);
    if (!failure.hasChildNodes()) host.value = note.value = "";
  }

  async function look(signal) {
    const { items } = await (await ask("/v1/optouts", { signal })).json();
    const text = JSON.stringify(items);
    if (text === drawn) return LOOK_MS;
    drawn = text;
    fill(list, items.length === 0 ? h("li", { class: "faint" }, "Nobody has asked for that.") : items.map((one) => h("li", {},
      h("div", {}, h("b", {}, one.subdomains ? `${one.host} and all below it` : one.host), h("span", { class: "faint" }, one.note ? ` ${one.note}, ` : " ", "since ", when(one.since))),
      mayWrite ? h("button", { type: "button", class: "button small", "aria-label": `Let jobs visit ${one.host} again`,
        onclick: () => change(`/v1/optouts/${encodeURIComponent(one.host)}`, { method: "DELETE" }, `${one.host} may be visited again.`) }, "Take back") : null)));
    return LOOK_MS;
  }

  return { element, end: live(look, { onerror: (problem) => problem.status !== 0 && fill(failure, trouble(problem)) }) };
}
