// One job: how far it is, how fast, what it found, what it left out and why, and the levers to steer it.

import { ask, live, read, session } from "./api.js";
import { announce, confirmed, empty, fill, h, s, say, trouble } from "./dom.js";
import { ago, bar, brief, count, isOver, pill, plural, settled, span, Speed, speed } from "./format.js";
import { Blocked } from "./hosts.js";
import { downloads, List, listTable } from "./items.js";

const LOOK_MS = 1000;
const CURVE_SECONDS = 90;
const TABS = [["items", "Items"], ["skipped", "Not fetched"], ["file", "Job file"]];

export function jobPage(place, id) {
  const base = `/v1/jobs/${id}`;
  const head = h("div", { class: "head" }, h("div", {}, h("p", { class: "crumb" }, h("a", { href: "#/jobs" }, "Jobs")), h("h1", {}, "…")));
  const phase = h("p", { class: "job-state" });
  const levers = h("div", { class: "tools" });
  const failure = h("div");
  const figures = h("dl", { class: "figures-row" });
  const progress = h("div", { class: "big-bar" });
  const curve = new Curve();
  const reasons = h("div", { class: "reasons" });
  const blocked = new Blocked();
  const tabs = h("div", { class: "tabs", role: "tablist", "aria-label": "What the job has", onkeydown: turn });
  const panel = h("div", { class: "panel", role: "tabpanel", tabindex: 0, "aria-labelledby": "tab-items" });
  const pace = new Speed();
  const lists = { items: new List(id, "items"), skipped: new List(id, "skipped") };
  const tables = {
    items: listTable(lists.items, { label: "Items", none: { one: "item", words: "No items yet. They appear here as pages are read." }, hidden: ["_job"] }),
    skipped: listTable(lists.skipped, { label: "Pages that were not fetched", none: { one: "page", words: "Every page so far was fetched." }, columns: ["url", "reason", "detail"],
      cell: (name, value) => name === "reason" && h("code", {}, value) }),
  };
  let job = null;
  let tab = "items";
  let file = "";
  head.append(levers);
  fill(place, head, phase, failure, progress, h("div", { class: "job-figures" }, figures, curve.element), blocked.element, reasons, tabs, panel);
  fill(tabs, TABS.map(([name, words]) => h("button", { type: "button", role: "tab", id: `tab-${name}`, "data-tab": name, onclick: () => open(name) }, words)));

  function open(name) {
    tab = name;
    for (const button of tabs.children) {
      button.setAttribute("aria-selected", String(button.dataset.tab === name));
      button.tabIndex = button.dataset.tab === name ? 0 : -1;
    }
    panel.setAttribute("aria-labelledby", `tab-${name}`);
    if (name === "file") fill(panel, h("pre", { class: "code", tabindex: 0 }, file));
    else fill(panel, job ? downloads(job, name, name === "items" ? "items" : "the list") : null, tables[name].element);
    if (name !== "file") tables[name].show();
  }

  function turn(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const names = TABS.map(([name]) => name);
    open(names[(names.indexOf(tab) + step + names.length) % names.length]);
    tabs.querySelector("[aria-selected=true]").focus();
  }

  function lever(words, act, more = "") {
    const button = h("button", { type: "button", class: `button ${more}`, onclick: async () => {
      button.disabled = true;
      try {
        await act();
        fill(failure);
      } catch (problem) {
        fill(failure, trouble(problem));
      }
      button.disabled = false;
    } }, words);
    return button;
  }

  function showLevers() {
    const now = job.status.phase;
    if (levers.dataset.of === now) return;
    levers.dataset.of = now;
    if (!session.may("jobs:write")) return fill(levers);
    const steer = (verb, words) => lever(words, async () => {
      show(await read(`${base}/${verb}`, { method: "POST" }));
      announce(`The job is asked to ${verb}.`);
    });
    const runs = ["Pending", "Running", "Pausing", "Paused"].includes(now);
    const cancel = lever("Cancel…", async () => {
      const sure = await confirmed(`Cancel ${job.metadata.name}?`, `It ends, and its ${plural(job.status.items, "item")} are removed. Stop it instead to keep them.`, "Cancel the job");
      if (!sure) return;
      show(await read(`${base}/cancel`, { method: "POST" }));
      announce(`${job.metadata.name} is cancelled.`);
    }, "danger-quiet");
    fill(levers, ["Pending", "Running"].includes(now) ? steer("pause", "Pause") : null, now === "Paused" ? steer("resume", "Resume") : null,
      runs ? steer("stop", "Stop") : null, runs ? cancel : null,
      now === "Deleting" ? null : lever("Delete…", async () => {
        const sure = await confirmed(`Delete ${job.metadata.name}?`, `Its ${plural(job.status.items, "item")} and everything known of its pages go from every node. This cannot be undone.`, "Delete the job");
        if (!sure) return;
        await ask(base, { method: "DELETE" });
        announce(`${job.metadata.name} is being deleted.`);
        location.hash = "#/jobs";
      }, "danger-quiet"));
  }

  function show(newer) {
    const isFirst = !job;
    job = newer;
    const { metadata, status } = job;
    say(head.querySelector("h1"), metadata.name);
    document.title = `${metadata.name} – ScrapeRing`;
    const rate = pace.at(performance.now(), settled(status.pages));
    if (status.phase === "Running") curve.add(rate);
    fill(phase, pill(status.phase), " ", status.reason ? h("span", {}, h("code", {}, status.reason), " ") : null,
      status.message ? h("span", {}, `${status.message} `) : null, h("span", { class: "faint" }, times(metadata, status)));
    fill(progress, bar(status.pages));
    const over = isOver(status.phase);
    const rows = [["Pages done", `${brief(settled(status.pages))} / ${brief(status.pages.discovered)}`], ["Items", brief(status.items)],
      over ? ["Pages per second", overall(status)] : ["Pages per second", speed(rate)], ["Queue", brief(status.pages.queued)],
      ["In flight", brief(status.pages.inFlight)], ["Failed", brief(status.pages.failed)], ["Skipped", brief(status.pages.skipped)]];
    fill(figures, rows.map(([name, value]) => h("div", { class: name === "Failed" && status.pages.failed ? "bad-words" : "" }, h("dt", {}, name), h("dd", {}, value))));
    showLevers();
    const text = JSON.stringify({ apiVersion: job.apiVersion, kind: job.kind, metadata: job.metadata, spec: job.spec }, null, 2);
    if (text !== file) {
      file = text;
      if (tab === "file") open("file");
    }
    if (isFirst) {
      open(tab);
      blocked.know(job.spec.seeds.map((seed) => seed.url || seed.sitemap || seed.feed || seed.sitemapsOf));
    }
  }

  function showReasons() {
    const counted = new Map();
    for (const { reason } of lists.skipped.entries) counted.set(reason, (counted.get(reason) || 0) + 1);
    if (counted.size === 0) return fill(reasons);
    const most = Math.max(...counted.values());
    fill(reasons, h("h2", { class: "section" }, "Not fetched, by reason"), h("ul", {}, [...counted].sort((a, b) => b[1] - a[1]).map(([reason, number]) =>
      h("li", {}, h("code", {}, reason), h("span", { class: "reason-bar", "aria-hidden": "true", "--share": `${(number / most) * 100}%` }), h("b", {}, count(number))))));
  }

  async function readLists(signal) {
    for (const name of ["items", "skipped"]) {
      if (name === "items" && !session.may("results:read")) continue;
      const came = await lists[name].more(signal);
      if (came > 0 && tab === name) tables[name].show();
      if (came > 0 && name === "skipped") showReasons();
      if (came > 0) blocked.know(lists[name].entries.slice(-came).map((entry) => entry.url || entry._url));
    }
  }

  return live(async (signal) => {
    show(await read(base, { signal }));
    await readLists(signal);
    if (isOver(job.status.phase)) blocked.hide();
    else await blocked.look(signal);
    fill(failure);
    const settledLists = Object.values(lists).every((list) => list.complete || list.isFull);
    return isOver(job.status.phase) && settledLists ? null : LOOK_MS;
  }, { onerror: (problem) => {
    if (problem.status === 404) {
      fill(place, empty("There is no such job", "It may have been deleted, or the address is wrong.", h("a", { href: "#/jobs", class: "button" }, "All jobs")));
    } else if (problem.status !== 0) fill(failure, trouble(problem));
  } });
}

function times(metadata, status) {
  const started = status.startTime && new Date(status.startTime);
  if (status.completionTime && started) return ["ended ", ago(status.completionTime), ` after ${span(new Date(status.completionTime) - started)}`];
  if (started) return ["started ", ago(status.startTime)];
  return ["submitted ", ago(metadata.creationTimestamp)];
}

function overall({ pages, startTime, completionTime }) {
  const seconds = (new Date(completionTime) - new Date(startTime)) / 1000;
  return seconds > 0 ? speed((pages.succeeded + pages.failed) / seconds) : "–";
}

/** Pages per second over the last while. */
class Curve {
  #values = [];

  constructor() {
    this.line = s("path", { class: "curve-line", d: "" });
    this.area = s("path", { class: "curve-area", d: "" });
    this.most = h("span", { class: "faint" });
    this.element = h("figure", { class: "curve", hidden: true },
      s("svg", { viewBox: `0 0 ${CURVE_SECONDS} 40`, preserveAspectRatio: "none", "aria-hidden": "true" }, this.area, this.line),
      h("figcaption", {}, h("span", {}, "Pages per second, the last 90 s"), this.most));
  }

  add(value) {
    this.#values.push(value);
    if (this.#values.length > CURVE_SECONDS) this.#values.shift();
    if (this.#values.length < 3) return;
    this.element.hidden = false;
    const most = Math.max(...this.#values, 1);
    const from = CURVE_SECONDS - this.#values.length + 1;
    const points = this.#values.map((one, place) => `${from + place} ${(38 - (one / most) * 34).toFixed(2)}`).join("L");
    this.line.setAttribute("d", `M${points}`);
    this.area.setAttribute("d", `M${from} 40L${points}L${CURVE_SECONDS} 40Z`);
    say(this.most, `peak ${speed(most)}`);
  }
}
