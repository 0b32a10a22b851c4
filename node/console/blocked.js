// The hosts of a job that are not visited now: why, and until when.

import { read } from "./api.js";
import { fill, h } from "./dom.js";
import { clock, span } from "./format.js";

/** Hosts that are asked about; a job may have any number of them. */
const MOST = 25;
const LOOK_MS = 3000;
const WORDS = { paused: "asked to be left alone", broken: "fails again and again", closed: "closed by the operator" };

/** Which hosts of a job are left alone; `look` may be called as often as one likes. */
export class Blocked {
  #hosts = new Set();
  #looked = 0;

  constructor() {
    this.element = h("div", { class: "blocked", hidden: true });
  }

  /** Has URLs of the job, from which its hosts are known. */
  know(urls) {
    for (const url of urls) {
      if (this.#hosts.size >= MOST) return;
      try {
        this.#hosts.add(new URL(url).host);
      } catch {
        // A seed that is no URL is told about elsewhere.
      }
    }
  }

  async look(signal) {
    if (performance.now() - this.#looked < LOOK_MS && this.#looked) return;
    this.#looked = performance.now();
    const answers = await Promise.all([...this.#hosts].map((host) => read(`/v1/hosts/${encodeURIComponent(host)}`, { signal })));
    this.#show(answers.flatMap((answer) => answer.items).filter((origin) => origin.state in WORDS));
  }

  hide() {
    this.element.hidden = true;
  }

  #show(origins) {
    this.element.hidden = origins.length === 0;
    if (origins.length === 0) return;
    fill(this.element, h("h2", { class: "section" }, "Hosts that are left alone"), h("ul", {}, origins.map((origin) =>
      h("li", {}, h("code", {}, origin.origin), ` ${WORDS[origin.state]}`, until(origin)))));
  }
}

function until({ state, closedForMs }) {
  if (state === "closed") return ", until it is opened again";
  if (!closedForMs) return ", and is tried again";
  const then = new Date(Date.now() + closedForMs);
  return h("span", {}, ", until ", h("time", { datetime: then.toISOString() }, clock(then)), ` (${span(closedForMs)})`);
}
