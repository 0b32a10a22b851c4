// One host: how it is, what the operator asks for, its robots.txt, and every request that was made to it.

import { ask, live, read, session } from "./api.js";
import { announce, fill, h, say, trouble } from "./dom.js";
import { bytes, count, plural, span, when } from "./format.js";
import { stateOf } from "./hosts.js";

const LOOK_MS = 2000;
const LEDGER_LIMIT = 200;
const ROBOTS = { unknown: "not asked for yet", none: "it has none", disallowAll: "it forbids everything", unreachable: "cannot be read, so nothing is fetched", known: "known and obeyed" };

export function hostPage(place, encoded) {
  const host = decodeURIComponent(encoded);
  const base = `/v1/hosts/${encodeURIComponent(host)}`;
  const failure = h("div");
  const origins = h("div", { class: "origins" });
  const robots = h("div");
  const ledger = new Ledger(base);
  const mayWrite = session.may("hosts:write");
  const form = mayWrite ? limitsForm(change) : null;
  let drawn = "";
  fill(place, h("div", { class: "head" }, h("div", {}, h("p", { class: "crumb" }, h("a", { href: "#/hosts" }, "Hosts")), h("h1", {}, host)),
    mayWrite ? h("div", { class: "tools" }, h("button", { type: "button", class: "button", onclick: forgive }, "Forgive and try again")) : null), failure,
  h("div", { class: "host-page" }, h("div", {}, origins, h("h2", { class: "section" }, "robots.txt"), robots), form?.element),
  mayWrite ? ledger.element : null);

  async function change(body, words) {
    try {
      show((await read(base, { method: "PATCH", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } })).items);
      fill(failure);
      announce(words);
    } catch (problem) {
      fill(failure, trouble(problem));
    }
  }

  async function forgive() {
    try {
      await ask(`${base}/breaker`, { method: "DELETE" });
      await change({ forgive: true }, `${host} is tried again.`);
    } catch (problem) {
      fill(failure, trouble(problem));
    }
  }

  function show(items) {
    const text = JSON.stringify(items);
    if (text === drawn) return;
    drawn = text;
    const visited = items.filter((origin) => origin.requests || origin.waiting || origin.robots !== "unknown");
    form?.know((visited[0] || items[0]).limits);
    fill(origins, (visited.length ? visited : items.slice(0, 1)).map((origin) => h("section", { class: "card origin" },
      h("h2", {}, origin.origin, " ", stateOf(origin)),
      origin.closedForMs ? h("p", { class: "faint" }, `It is left alone for ${span(origin.closedForMs)} more.`) : null,
      h("dl", { class: "facts" }, facts(origin).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))))));
  }

  async function showRobots(signal) {
    const { items } = await read(`${base}/robots`, { signal });
    const known = items.filter((one) => one.state !== "unknown");
    fill(robots, known.length === 0 ? h("p", { class: "faint" }, "It was not asked for yet; that is done before the first page.") : known.map((one) => [
      h("p", { class: "faint" }, `${one.origin}: ${ROBOTS[one.state] || one.state}`, one.fetchedAt ? [", read ", when(one.fetchedAt)] : null, "."),
      one.text ? h("pre", { class: "code", tabindex: 0 }, one.text) : null]));
  }

  let looks = 0;
  return live(async (signal) => {
    show((await read(base, { signal })).items);
    if (looks === 0) await Promise.all([showRobots(signal), mayWrite ? ledger.more(signal) : null]);
    looks += 1;
    return LOOK_MS;
  }, { onerror: (problem) => problem.status !== 0 && fill(failure, trouble(problem)) });
}

function facts(origin) {
  return [["Waiting, of all jobs", count(origin.waiting)], ["In flight", count(origin.inFlight)], ["Requests, by its present owner", count(origin.requests)],
    ["Answered with “later” (429, 503)", count(origin.busy)], ["Failed", count(origin.failed)], ["Failures in a row", count(origin.consecutiveFailures)],
    ["Last answer began after", origin.requests ? `${count(origin.lastLatencyMs)} ms` : "–"], ["Delay that AutoThrottle came to", origin.throttleMs ? `${count(origin.throttleMs)} ms` : "–"],
    ["robots.txt", `${ROBOTS[origin.robots] || origin.robots}${origin.robotsBytes ? `, ${bytes(origin.robotsBytes)}` : ""}`]];
}

/** What no job may be less gentle than. */
function limitsForm(change) {
  const delay = h("input", { id: "delay", type: "number", min: 0, step: 1, inputmode: "numeric" });
  const most = h("input", { id: "most", type: "number", min: 1, step: 1, inputmode: "numeric", placeholder: "as jobs say" });
  const closed = h("input", { id: "closed", type: "checkbox" });
  let touched = false;
  const element = h("form", { class: "card limits", oninput: () => { touched = true; }, onsubmit: save },
    h("h2", {}, "What all jobs keep to"), h("p", { class: "hint" }, "Jobs may be gentler than this, never less gentle."),
    h("label", { for: "delay" }, "Least milliseconds from an answer to the next request"), delay,
    h("label", { for: "most" }, "Most requests at the same time"), most,
    h("label", { for: "closed", class: "check-label" }, closed, " Request nothing at all"),
    h("div", { class: "actions" }, h("button", { class: "button primary", type: "submit" }, "Save")));

  function save(event) {
    event.preventDefault();
    const limits = { delayMs: Number(delay.value) || 0, closed: closed.checked };
    if (most.value) limits.concurrentRequests = Number(most.value);
    touched = false;
    change({ limits }, closed.checked ? "It is closed." : "All jobs keep to it.");
  }

  return { element, know(limits) {
    if (touched) return;
    delay.value = limits.delayMs;
    most.value = limits.concurrentRequests ?? "";
    closed.checked = limits.closed;
  } };
}

/** Every request, the oldest first. */
class Ledger {
  #base;
  #cursor = "";
  #total = 0;

  constructor(base) {
    this.#base = base;
    this.body = h("tbody");
    this.words = h("p", { class: "table-words", role: "status" });
    this.button = h("button", { type: "button", class: "button", hidden: true, onclick: () => this.more() }, "Show more");
    this.scroll = h("div", { class: "table-scroll", tabindex: 0, role: "region", "aria-label": "Requests", hidden: true }, h("table", {},
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "When"), h("th", { scope: "col" }, "URL"), h("th", { scope: "col" }, "Outcome"), h("th", { scope: "col", class: "number" }, "Took"), h("th", { scope: "col" }, "Job"))), this.body));
    this.element = h("section", { class: "list" }, h("h2", { class: "section" }, "Every request, the oldest first"), this.words, this.scroll, h("div", { class: "actions" }, this.button));
  }

  async more(signal) {
    const { items, next } = await read(`${this.#base}/ledger?${new URLSearchParams({ limit: LEDGER_LIMIT, ...(this.#cursor ? { cursor: this.#cursor } : {}) })}`, { signal });
    this.#cursor = next || "";
    this.#total += items.length;
    this.button.hidden = !next;
    this.scroll.hidden = this.#total === 0;
    say(this.words, this.#total === 0 ? "None was made yet." : next ? `The first ${count(this.#total)}` : plural(this.#total, "request"));
    this.body.append(...items.map((one) => h("tr", {}, h("td", { class: "short" }, when(one.at)),
      h("td", {}, h("a", { href: one.url, target: "_blank", rel: "noreferrer noopener", class: "outward wide" }, one.url.replace(/^\w+:\/\/[^/]+/, ""))),
      h("td", { class: one.error || one.status >= 400 ? "bad-words" : null }, one.status || one.error || "–"), h("td", { class: "number" }, `${count(one.tookMs)} ms`),
      h("td", { class: "short" }, one.job ? h("a", { href: `#/jobs/${one.job}` }, one.job.slice(0, 8)) : "–"))));
  }
}
