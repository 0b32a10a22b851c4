// The hosts that jobs visit: how each is, and how gently the ring goes about it.

import { live, read } from "./api.js";
import { empty, fill, h, say, trouble } from "./dom.js";
import { count, span, tag } from "./format.js";
import { optOuts } from "./optouts.js";

const LOOK_MS = 2000;
const LIMIT = 200;
const STATES = [["", "Every state"], ["open", "Open"], ["paused", "Paused"], ["broken", "Broken"], ["closed", "Closed"], ["optedOut", "Opted out"], ["idle", "Idle"]];
const COLUMNS = [["Host"], ["State"], ["Waiting", 1], ["In flight", 1], ["Requests", 1], ["“Later”", 1], ["Failed", 1], ["Answers in", 1], ["At least apart", 1]];
const TONES = { idle: "waiting", open: "busy", paused: "warn", broken: "bad", closed: "warn", optedOut: "waiting" };
const WORDS = { optedOut: "opted out" };

/** How an origin is, as a pill. */
export const stateOf = ({ state }) => tag(TONES[state] || "waiting", WORDS[state] || state);

/** The host of an origin, as the address of its page and as the ring names it. */
export const hostOf = (origin) => origin.replace(/^\w+:\/\//, "");

export function hostsPage(place) {
  const failure = h("div");
  const words = h("p", { class: "table-words", role: "status" });
  const table = h("div");
  const state = h("select", { id: "state", onchange: again }, STATES.map(([value, name]) => h("option", { value }, name)));
  const field = h("input", { id: "host", type: "text", autocomplete: "off", spellcheck: "false", placeholder: "shop.example" });
  let stop = () => {};
  let drawn = "";
  const leftAlone = optOuts();
  fill(place, h("div", { class: "head" }, h("h1", {}, "Hosts"), h("form", { class: "tools", onsubmit: open },
    h("label", { for: "host", class: "hidden" }, "A host"), field, h("button", { class: "button", type: "submit" }, "Open host"))), failure,
  h("div", { class: "list-head" }, h("label", { for: "state", class: "hidden" }, "Only hosts in this state"), state, words), table, leftAlone.element);

  function open(event) {
    event.preventDefault();
    const host = hostOf(field.value.trim()).split("/")[0];
    if (host) location.hash = `#/hosts/${encodeURIComponent(host)}`;
    else field.focus();
  }

  function again() {
    stop();
    drawn = "";
    stop = live(look, { onerror: (problem) => problem.status !== 0 && fill(failure, trouble(problem)) });
  }

  function row(origin) {
    const host = hostOf(origin.origin);
    const figures = [origin.waiting, origin.inFlight, origin.requests, origin.busy, origin.failed].map((value) => h("td", { class: "number" }, count(value)));
    return h("tr", {}, h("th", { scope: "row" }, h("a", { href: `#/hosts/${encodeURIComponent(host)}` }, origin.origin.startsWith("https:") ? host : origin.origin)),
      h("td", {}, stateOf(origin), origin.closedForMs ? h("span", { class: "faint" }, ` for ${span(origin.closedForMs)}`) : null), figures,
      h("td", { class: "number" }, origin.requests ? `${count(origin.lastLatencyMs)} ms` : "–"),
      h("td", { class: "number" }, Math.max(origin.limits.delayMs, origin.throttleMs) ? `${count(Math.max(origin.limits.delayMs, origin.throttleMs))} ms` : "–"));
  }

  async function look(signal) {
    const query = new URLSearchParams({ limit: LIMIT });
    if (state.value) query.set("state", state.value);
    const { items, next } = await read(`/v1/hosts?${query}`, { signal });
    fill(failure);
    const text = JSON.stringify([items, next]);
    if (text === drawn || (table.contains(document.activeElement) && drawn)) return LOOK_MS;
    drawn = text;
    say(words, next ? `The first ${items.length}; open another by its name.` : "");
    fill(table, items.length ? h("div", { class: "table-scroll", tabindex: 0, role: "region", "aria-label": "Hosts" }, h("table", {},
      h("thead", {}, h("tr", {}, COLUMNS.map(([name, isFigure]) => h("th", { scope: "col", class: isFigure ? "number" : null }, name)))), h("tbody", {}, items.map(row))))
      : state.value ? empty("No host is in this state", "Choose another state to see the others.")
        : empty("No host was visited yet", "Hosts appear here with the first job that visits them: how each answers, and how gently the ring goes about it.", h("a", { href: "#/jobs/new", class: "button primary" }, "New job")));
    return LOOK_MS;
  }

  again();
  return () => {
    stop();
    leftAlone.end();
  };
}
