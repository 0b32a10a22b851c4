// The rules of a job on one page, before there is a job: what they find there, and why something is not found.

import { Problem, read } from "./api.js";
import { fill, h, trouble } from "./dom.js";
import { fieldsOf } from "./entry.js";
import { plural } from "./format.js";

/** Items that are shown; a page may have thousands. */
const MOST_SHOWN = 5;

export class Trial {
  #rules = [];
  #isOwn = false;

  constructor() {
    this.url = h("input", { id: "trial", type: "text", inputmode: "url", autocomplete: "off", spellcheck: "false", oninput: () => { this.#isOwn = true; } });
    this.button = h("button", { type: "button", class: "button", onclick: () => this.#run() }, "Try it");
    this.result = h("div", { "aria-live": "polite" });
    this.element = h("section", { class: "trial", hidden: true }, h("h2", {}, "Try it on one page"),
      h("label", { for: "trial", class: "hint" }, "It is fetched as politely as a job would, and nothing is kept."),
      h("div", { class: "row" }, this.url, this.button), this.result);
    this.url.addEventListener("keydown", (event) => {
      // Enter in the form around it would submit the job.
      if (event.key !== "Enter") return;
      event.preventDefault();
      this.#run();
    });
  }

  /** Takes the rules of a checked job, and its first page unless another one was chosen. */
  know({ seeds = [], extract = [] }) {
    this.#rules = extract;
    if (!this.#isOwn) this.url.value = seeds.find((seed) => seed.url)?.url || "";
    this.element.hidden = extract.length === 0;
  }

  hide() {
    this.element.hidden = true;
  }

  async #run() {
    const url = this.url.value.trim();
    if (!url) return this.url.focus();
    this.button.disabled = true;
    fill(this.result, h("p", { class: "faint" }, "It is on its way…"));
    try {
      const body = JSON.stringify({ url, extract: this.#rules });
      fill(this.result, report(await read("/v1/scrape", { method: "POST", body, headers: { "Content-Type": "application/json" } })));
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      fill(this.result, trouble(problem));
    } finally {
      this.button.disabled = false;
    }
  }
}

/** What the page said, without what is known of every page. */
const own = (item) => Object.fromEntries(Object.entries(item).filter(([name]) => !name.startsWith("_")));

function report({ items, itemErrors, skipped }) {
  const [why] = skipped;
  if (why) {
    return h("div", { class: "trouble" }, h("strong", {}, "The page was not fetched"), h("p", {}, h("code", {}, why.reason), why.detail ? ` ${why.detail}` : null));
  }
  const more = items.length > MOST_SHOWN ? `, the first ${MOST_SHOWN}` : "";
  return [
    h("p", { class: items.length ? "check good" : "check" }, items.length ? `${plural(items.length, "item")}${more}` : "No item was found there."),
    items.slice(0, MOST_SHOWN).map((item) => h("div", { class: "card entry" }, fieldsOf(own(item)))),
    itemErrors.length ? h("ul", { class: "faults" }, itemErrors.map(({ rule, field, message }) => h("li", { class: "fault" }, h("code", {}, [rule, field].filter(Boolean).join(".")), h("span", {}, message)))) : null,
  ];
}
