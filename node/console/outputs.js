// What leaves the ring: a job's outputs, the exports that were asked for, and the messages to its webhooks.

import { read, session } from "./api.js";
import { announce, empty, fill, h, trouble } from "./dom.js";
import { ago, bytes, count, plural, tag, when } from "./format.js";

const LOOK_MS = 3000;
const TONES = { waiting: "waiting", writing: "busy", done: "good", failed: "bad", dropped: "waiting", delivered: "good", givenUp: "bad" };
const WORDS = { givenUp: "given up" };

/** Where an output goes, in one line. */
function place(output) {
  if (output.ring) return (output.ring.storeBody || "none") === "none" ? "this ring" : "this ring, with the pages as they were read";
  const [scheme, store] = Object.entries(output)[0] || ["", {}];
  if (store.path) return store.path;
  return `${scheme === "gcs" ? "gs" : scheme}://${[store.bucket, store.prefix].filter(Boolean).join("/")}`;
}

const formatOf = (output) => Object.values(output)[0]?.format || "–";

function table(label, heads, rows) {
  return h("div", { class: "table-scroll", tabindex: 0, role: "region", "aria-label": label }, h("table", {},
    h("thead", {}, h("tr", {}, heads.map((name) => (name ? h("th", { scope: "col", class: ["Entries", "Files", "Size", "Attempts"].includes(name) ? "number" : null }, name) : h("td"))))), h("tbody", {}, rows)));
}

function row(first, output, { state, entries, parts, bytes: size, error, nextAttemptAt }) {
  const next = nextAttemptAt ? [" Tried again ", ago(nextAttemptAt), "."] : null;
  return h("tr", {}, h("th", { scope: "row" }, first), h("td", { class: output.ring ? null : "mono" }, place(output)), h("td", {}, formatOf(output)),
    h("td", {}, state ? tag(TONES[state] || "waiting", WORDS[state] || state) : "–"),
    h("td", { class: "number" }, entries === undefined ? "–" : count(entries)), h("td", { class: "number" }, parts === undefined ? "–" : count(parts)),
    h("td", { class: "number" }, size === undefined ? "–" : bytes(size)), h("td", { class: "wide-words" }, error ? h("span", { class: "bad-words" }, error, ".") : null, next, error || next ? null : "–"));
}

export class Outputs {
  #id;
  #looked = -LOOK_MS;
  #drawn = "";

  constructor(id) {
    this.#id = id;
    this.element = h("div", { class: "outputs" });
  }

  async look(job, signal) {
    if (performance.now() - this.#looked < LOOK_MS) return;
    this.#looked = performance.now();
    const [exports, deliveries] = await Promise.all([
      read(`/v1/jobs/${this.#id}/exports`, { signal }),
      job.spec.webhooks?.length ? read(`/v1/webhooks/deliveries?${new URLSearchParams({ job: this.#id })}`, { signal }) : { items: [] },
    ]);
    const state = JSON.stringify([job.spec.outputs, job.status.outputs, exports, deliveries]);
    if (state === this.#drawn && ![...this.element.querySelectorAll("time")].length) return;
    if (this.element.contains(document.activeElement) && this.#drawn) return;
    this.#drawn = state;
    this.#show(job, exports.items, deliveries.items);
  }

  #show(job, exports, deliveries) {
    const outputs = job.spec.outputs || [];
    const known = new Map((job.status.outputs || []).map((status) => [status.output, status]));
    const heads = ["", "Where", "Format", "State", "Entries", "Files", "Size", "What happened"];
    fill(this.element,
      outputs.length || exports.length ? table("Outputs and exports", heads, [
        ...outputs.map((output, number) => row(`Output ${number + 1}`, output, known.get(number) || {})),
        ...exports.map((one) => row(h("span", {}, "Export, ", when(one.createdAt)), one.output, one)),
      ]) : empty("Nothing is written elsewhere", "A job can write what it finds into a folder, an S3-compatible store or Google Cloud Storage: items as JSON lines, CSV or Parquet, pages as WARC."),
      h("p", { class: "hint" }, "At any time: ", h("code", {}, `scrapering export ${this.#id} --to FOLDER --format parquet`), ", or by the ring itself: ",
        h("code", {}, `scrapering job export ${this.#id} output.yaml`)),
      job.spec.webhooks?.length ? [h("h2", { class: "section" }, `Messages to ${plural(job.spec.webhooks.length, "webhook")}`), this.#deliveries(job, deliveries)] : null);
  }

  #deliveries(job, deliveries) {
    if (deliveries.length === 0) return h("p", { class: "faint" }, "None yet.");
    return table("Messages to webhooks", ["Event", "To", "State", "Attempts", "Last answer", "Made", ""], deliveries.map((one) => {
      const last = one.attempts.at(-1);
      return h("tr", {}, h("th", { scope: "row" }, one.event), h("td", { class: "mono" }, job.spec.webhooks[one.webhook]?.url || `webhook ${one.webhook + 1}`),
        h("td", {}, tag(TONES[one.state] || "waiting", WORDS[one.state] || one.state)), h("td", { class: "number" }, count(one.attempts.length)),
        h("td", {}, last ? String(last.status || last.error || "–") : "–"), h("td", { class: "short" }, when(one.createdAt)),
        h("td", {}, session.may("jobs:write") ? h("button", { type: "button", class: "button small", onclick: () => this.#again(one) }, "Send again") : null));
    }));
  }

  async #again(delivery) {
    try {
      await read(`/v1/webhooks/deliveries/${delivery.id}/redeliver`, { method: "POST" });
      announce("It is sent again.");
      document.activeElement?.blur();
      this.#looked = -LOOK_MS;
    } catch (problem) {
      this.element.prepend(trouble(problem));
    }
  }
}
