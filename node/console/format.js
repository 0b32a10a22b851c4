// Figures and moments as people write them.

import { h } from "./dom.js";

const plain = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const timeOfDay = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const dayAndTime = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

export const count = (value) => plain.format(value ?? 0);
export const brief = (value) => ((value ?? 0) < 100000 ? plain.format(value ?? 0) : short.format(value));
export const plural = (value, one, many = `${one}s`) => `${count(value)} ${value === 1 ? one : many}`;
export const percent = (share) => `${(share * 100).toFixed(1)} %`;
export const speed = (value) => (value >= 100 ? value.toFixed(0) : value.toFixed(1));

export function bytes(value) {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  let rest = value;
  while (rest >= 1024 && unit < units.length - 1) {
    rest /= 1024;
    unit += 1;
  }
  return unit === 0 ? `${count(rest)} ${rest === 1 ? "byte" : "bytes"}` : `${rest.toFixed(1)} ${units[unit]}`;
}

/** `3 s`, `4 min 10 s`, `2 h 5 min`, `3 d 4 h`. */
export function span(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  const parts = [[Math.floor(seconds / 86400), "d"], [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"], [seconds % 60, "s"]];
  const first = parts.findIndex(([amount]) => amount > 0);
  if (first < 0) return "0 s";
  return parts.slice(first, first + 2).filter(([amount]) => amount > 0).map(([amount, unit]) => `${amount} ${unit}`).join(" ");
}

/** The same to one unit: `3 s`, `4 min`, `2 h`, `3 d`. */
const about = (milliseconds) => span(milliseconds).split(" ").slice(0, 2).join(" ");

/** A moment as so long ago, or so long from now, with the exact one on demand. */
export function ago(text) {
  if (!text) return h("span", {}, "–");
  const then = new Date(text);
  const past = Date.now() - then;
  return h("time", { datetime: text, title: moment.format(then) }, past < 0 ? `in ${about(-past)}` : `${about(past)} ago`);
}

/** A moment as the time of day, with its day if that is not today's, and the exact one on demand. */
export function when(text) {
  const then = new Date(text);
  if (!text || Number.isNaN(then.valueOf())) return h("span", {}, text || "–");
  const words = then.toDateString() === new Date().toDateString() ? timeOfDay.format(then) : dayAndTime.format(then);
  return h("time", { datetime: text, title: moment.format(then) }, words);
}

/** A moment as people write it. */
export const clock = (then) => moment.format(then);

/** Pages of a job that need no more work. */
export const settled = (pages) => Math.max(0, pages.discovered - pages.queued - pages.inFlight);

const PHASES = {
  Pending: ["waiting", "○"], Running: ["busy", "◐"], Paused: ["waiting", "‖"], Stopping: ["waiting", "◑"],
  Completed: ["good", "✓"], Failed: ["bad", "✕"], Cancelled: ["waiting", "✕"], Stopped: ["waiting", "■"], Deleting: ["waiting", "…"],
};

/** A word as a pill in the tone of what it means. */
export const tag = (tone, words) => h("span", { class: `pill ${tone}` }, words);

/** A phase as a pill: colour, sign and word say the same. */
export function pill(phase) {
  const [tone, sign] = PHASES[phase] || ["waiting", "·"];
  return h("span", { class: `pill ${tone}` }, h("span", { "aria-hidden": "true" }, sign), " ", phase);
}

export const isOver = (phase) => ["Completed", "Failed", "Cancelled", "Stopped"].includes(phase);

/** How fast a counter grows, over the last seconds. */
export class Speed {
  #seen = [];

  constructor(windowMs = 8000) {
    this.windowMs = windowMs;
  }

  at(now, value) {
    this.#seen.push([now, value]);
    while (this.#seen.length > 2 && now - this.#seen[0][0] > this.windowMs) this.#seen.shift();
    const [then, before] = this.#seen[0];
    return now > then ? Math.max(0, (value - before) / ((now - then) / 1000)) : 0;
  }
}

/** The bar of a job: done, failed, in flight, in the colours of their words. */
export function bar(pages) {
  const total = Math.max(pages.discovered, 1);
  const done = settled(pages);
  return h("div", {
    class: "bar", role: "progressbar", "aria-label": "Pages done", "aria-valuemin": 0, "aria-valuemax": pages.discovered,
    "aria-valuenow": done, "aria-valuetext": `${count(done)} of ${count(pages.discovered)} pages`,
  },
  h("span", { class: "bar-done", "--share": `${((done / total) * 100).toFixed(2)}%` }),
  pages.failed > 0 ? h("span", { class: "bar-failed", "--share": `${((pages.failed / total) * 100).toFixed(2)}%` }) : null);
}
