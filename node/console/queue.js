// What waits in a job: the URLs that will be requested, and what is left out from now on.

import { ask, read, session } from "./api.js";
import { announce, fill, h, say, trouble } from "./dom.js";
import { plural } from "./format.js";

const LIMIT = 100;
/** Answers without an entry that are followed in one look. */
const MOST_EMPTY = 5;
const LOOK_MS = 2000;

export class Queue {
  #base;
  #looked = -LOOK_MS;
  #drawn = "";

  constructor(id) {
    this.#base = `/v1/jobs/${id}`;
    this.pattern = h("input", { type: "search", class: "filter", "aria-label": "Only URLs in which this regular expression is found", placeholder: "Regular expression", oninput: () => this.again() });
    this.words = h("p", { class: "table-words", role: "status" });
    this.body = h("tbody");
    this.table = h("div", { class: "table-scroll", tabindex: 0, role: "region", "aria-label": "Queue", hidden: true }, h("table", {},
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "URL"), ["Depth", "Priority", "Attempts"].map((name) => h("th", { scope: "col", class: "number" }, name)))), this.body));
    this.failure = h("div");
    this.field = h("input", { id: "exclusion", type: "text", autocomplete: "off", spellcheck: "false", placeholder: "\\?sort=" });
    this.exclusions = h("ul", { class: "exclusions" });
    this.element = h("div", { class: "list" }, this.failure, h("div", { class: "list-head" }, this.pattern, this.words), this.table,
      h("section", { class: "aside" }, h("h2", { class: "section" }, "Left out from now on"),
        h("p", { class: "hint" }, "Regular expressions. URLs in which one is found are skipped as ", h("code", {}, "excluded"), ", also those that wait already."),
        this.exclusions,
        session.may("jobs:write") ? h("form", { class: "row", onsubmit: (event) => this.#exclude(event) }, h("label", { for: "exclusion", class: "hidden" }, "A regular expression to leave out"),
          this.field, h("button", { class: "button", type: "submit" }, "Leave out")) : null));
  }

  again() {
    this.#looked = -LOOK_MS;
  }

  async look(signal) {
    if (performance.now() - this.#looked < LOOK_MS) return;
    this.#looked = performance.now();
    try {
      const [urls, more] = await this.#waiting(signal);
      const { items } = await read(`${this.#base}/exclusions`, { signal });
      fill(this.failure);
      this.#show(urls, more);
      this.#showExclusions(items);
    } catch (problem) {
      if (problem.name === "AbortError" || problem.status === 0) throw problem;
      fill(this.failure, trouble(problem));
    }
  }

  async #waiting(signal) {
    const query = new URLSearchParams({ limit: LIMIT });
    if (this.pattern.value.trim()) query.set("pattern", this.pattern.value.trim());
    for (let looks = 0; ; looks += 1) {
      const answer = await read(`${this.#base}/frontier?${query}`, { signal });
      if (answer.items.length || !answer.next || looks === MOST_EMPTY) return [answer.items, Boolean(answer.next)];
      query.set("cursor", answer.next);
    }
  }

  #show(urls, more) {
    const state = JSON.stringify(urls);
    say(this.words, urls.length ? (more ? `The first ${urls.length}` : `${plural(urls.length, "URL")} ${urls.length === 1 ? "waits" : "wait"}`)
      : this.pattern.value.trim() ? "No URL that waits fits." : "Nothing waits: every known page was fetched, or is on its way.");
    this.table.hidden = urls.length === 0;
    if (state === this.#drawn) return;
    this.#drawn = state;
    fill(this.body, urls.map(({ url, depth, priority, tries = [] }) => h("tr", {},
      h("td", {}, h("a", { href: url, target: "_blank", rel: "noreferrer noopener", class: "outward wide" }, url)),
      [depth, priority, tries.length].map((value) => h("td", { class: "number" }, value)))));
  }

  #showExclusions(patterns) {
    if (this.exclusions.dataset.of === JSON.stringify(patterns)) return;
    this.exclusions.dataset.of = JSON.stringify(patterns);
    fill(this.exclusions, patterns.length === 0 ? h("li", { class: "faint" }, "Nothing.") : patterns.map((pattern) => h("li", {}, h("code", {}, pattern),
      session.may("jobs:write") ? h("button", { type: "button", class: "button small", "aria-label": `Do not leave out ${pattern}`, onclick: () => this.#change("DELETE", pattern) }, "Remove") : null)));
  }

  #exclude(event) {
    event.preventDefault();
    const pattern = this.field.value.trim();
    if (pattern) this.#change("POST", pattern);
    else this.field.focus();
  }

  async #change(method, pattern) {
    const path = `${this.#base}/exclusions`;
    try {
      const answer = method === "POST"
        ? await ask(path, { method, body: JSON.stringify({ pattern }), headers: { "Content-Type": "application/json" } })
        : await ask(`${path}?${new URLSearchParams({ pattern })}`, { method });
      if (method === "POST") this.field.value = "";
      fill(this.failure);
      this.#showExclusions((await answer.json()).items);
      announce(method === "POST" ? `${pattern} is left out.` : `${pattern} is not left out any more.`);
      this.again();
    } catch (problem) {
      fill(this.failure, trouble(problem));
    }
  }
}
