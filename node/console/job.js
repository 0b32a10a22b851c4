// One job: how far it is, how fast, what it found, what it left out and why, and the levers to steer it.

import { ask, live, read, session } from "./api.js";
import { Blocked } from "./blocked.js";
import { Curve } from "./curve.js";
import { announce, confirmed, download, empty, fill, h, say, trouble } from "./dom.js";
import { ago, bar, brief, bytes, count, isOver, pill, plural, settled, span, Speed, speed } from "./format.js";
import { downloads, List, listTable } from "./items.js";
import { Outputs } from "./outputs.js";
import { Queue } from "./queue.js";
import { Tabs } from "./tabs.js";

const LOOK_MS = 1000;
const QUIET_MS = 2000;
const TABS = [["items", "Items"], ["pages", "Pages"], ["queue", "Queue"], ["skipped", "Not fetched"], ["errors", "Dropped items"], ["outputs", "Outputs"], ["file", "Job file"]];
/** Lists that are read only while somebody looks at them. */
const ON_DEMAND = ["pages", "errors"];
/** Reasons for which a job is as it is, in words. */
const REASONS = {
  pageLimit: "the limit of pages was reached", itemLimit: "the limit of items was reached", byteLimit: "the limit of bytes was reached",
  durationLimit: "its time was over", recrawl: "waits to visit pages again",
};

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
  const pace = new Speed();
  const lists = Object.fromEntries(["items", "pages", "skipped", "errors"].map((name) => [name, new List(id, name)]));
  const tables = tablesOf(id, lists);
  const queue = new Queue(id);
  const outputs = new Outputs(id);
  const tabs = new Tabs("What the job has", TABS, open);
  let job = null;
  let file = "";
  head.append(levers);
  fill(place, head, phase, failure, progress, h("div", { class: "job-figures" }, figures, curve.element), blocked.element, reasons, tabs.list, tabs.panel);

  function open(name) {
    if (name === "file") return h("pre", { class: "code", tabindex: 0 }, file);
    if (name === "queue") {
      queue.again();
      return queue.element;
    }
    if (name === "outputs") return outputs.element;
    tables[name].show();
    return [job ? downloads(job, name, name === "items" ? "items" : "the list") : null, tables[name].element];
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
    const state = `${now} ${job.status.pages.failed > 0}`;
    if (levers.dataset.of === state) return;
    levers.dataset.of = state;
    if (!session.may("jobs:write")) return fill(levers);
    const steer = (verb, words) => lever(words, async () => {
      show(await read(`${base}/${verb}`, { method: "POST" }));
      announce(verb === "retry-failed" ? "The failed pages are tried again." : `The job is asked to ${verb}.`);
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
      isOver(now) && job.status.pages.failed > 0 ? steer("retry-failed", "Try failed pages again") : null,
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
    fill(phase, pill(status.phase), h("span", {}, reasonOf(status)), h("span", { class: "faint" }, times(metadata, status)),
      status.nextVisitTime ? h("span", { class: "faint" }, "next visit ", ago(status.nextVisitTime)) : null);
    fill(progress, bar(status.pages));
    const over = isOver(status.phase);
    const rows = [["Pages done", brief(settled(status.pages)), ` of ${brief(status.pages.discovered)}`], ["Items", brief(status.items)],
      ["Pages per second", over ? overall(status) : speed(rate)], over ? null : ["Queue", brief(status.pages.queued)],
      over ? null : ["In flight", brief(status.pages.inFlight)], ["Failed", brief(status.pages.failed)], ["Skipped", brief(status.pages.skipped)],
      status.pages.notModified ? ["Unchanged visits", brief(status.pages.notModified)] : null, status.bytes ? ["Read", bytes(status.bytes)] : null];
    fill(figures, rows.filter(Boolean).map(([name, value, more]) => h("div", { class: name === "Failed" && status.pages.failed ? "bad-words" : "" },
      h("dt", {}, name), h("dd", {}, value, more ? h("small", {}, more) : null))));
    for (const [name, value] of [["items", status.items], ["pages", status.pages.succeeded], ["queue", status.pages.queued], ["skipped", status.pages.failed + status.pages.skipped],
      ["errors", status.itemErrors], ["outputs", job.spec.outputs?.length]]) tabs.count(name, value);
    showLevers();
    const text = JSON.stringify({ apiVersion: job.apiVersion, kind: job.kind, metadata: job.metadata, spec: job.spec }, null, 2);
    if (text !== file) {
      file = text;
      if (tabs.open === "file") tabs.show("file");
    }
    if (isFirst) {
      tabs.show(tabs.open);
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
    const wanted = ["items", "skipped", ...ON_DEMAND.filter((name) => tabs.open === name)];
    for (const name of wanted) {
      if (name !== "skipped" && !session.may("results:read")) continue;
      const came = await lists[name].more(signal);
      if (came > 0 && tabs.open === name) tables[name].show();
      if (came > 0 && name === "skipped") showReasons();
      if (came > 0) blocked.know(lists[name].entries.slice(-came).map((entry) => entry.url || entry._url));
    }
    if (tabs.open === "queue") await queue.look(signal);
    if (tabs.open === "outputs") await outputs.look(job, signal);
  }

  return live(async (signal) => {
    show(await read(base, { signal }));
    await readLists(signal);
    if (isOver(job.status.phase)) blocked.hide();
    else await blocked.look(signal);
    fill(failure);
    // What is over may still be asked for: lists of other tabs, exports, pages that are tried again.
    return isOver(job.status.phase) ? QUIET_MS : LOOK_MS;
  }, { onerror: (problem) => {
    if (problem.status === 404) {
      fill(place, empty("There is no such job", "It may have been deleted, or the address is wrong.", h("a", { href: "#/jobs", class: "button" }, "All jobs")));
    } else if (problem.status !== 0) fill(failure, trouble(problem));
  } });
}

/** Why the job is as it is. */
function reasonOf({ reason, message }) {
  if (message) return message;
  return reason ? REASONS[reason] || reason : null;
}

function times(metadata, status) {
  const started = status.startTime && new Date(status.startTime);
  if (status.completionTime && started) return ["ended ", ago(status.completionTime), ` after ${span(new Date(status.completionTime) - started)}`];
  if (started) return ["started ", ago(status.startTime)];
  return ["submitted ", ago(metadata.creationTimestamp)];
}

function tablesOf(id, lists) {
  const kept = (page) => (page.stored ? h("button", { type: "button", class: "button small", onclick: () => takePage(id, page) }, "Download") : null);
  return {
    items: listTable(lists.items, { label: "Items", none: { one: "item", words: "No items yet. They appear here as pages are read." }, hidden: ["_job"] }),
    pages: listTable(lists.pages, { label: "Pages", none: { one: "page", words: "No page was fetched yet." },
      columns: ["url", "status", "fetchedAt", "bytes", "items", "depth", "attempts", "stored"],
      figures: ["bytes"],
      heads: { url: "URL", status: "Status", fetchedAt: "Fetched", bytes: "Size", items: "Items", depth: "Depth", attempts: "Attempts", stored: "As it was read" },
      cell: (name, value, page) => (name === "stored" ? kept(page) || h("span", { class: "faint" }, "not kept") : name === "bytes" ? bytes(value) : null),
      actions: (page) => kept(page) }),
    skipped: listTable(lists.skipped, { label: "Pages that were not fetched", none: { one: "page", words: "Every page so far was fetched." }, columns: ["url", "reason", "detail"],
      heads: { url: "URL", reason: "Reason", detail: "What exactly" }, cell: (name, value) => name === "reason" && h("code", {}, value) }),
    errors: listTable(lists.errors, { label: "Items that were dropped", none: { one: "item", words: "No item was dropped: every required field was found so far." } }),
  };
}

/** A page as it was read, as a file of its own name. */
async function takePage(id, page) {
  try {
    const answer = await ask(`/v1/jobs/${id}/pages/${page.id}/body`);
    const type = answer.headers.get("content-type") || "application/octet-stream";
    const last = new URL(page.url).pathname.split("/").filter(Boolean).at(-1) || "index";
    download(/\.\w+$/.test(last) || !type.startsWith("text/html") ? last : `${last}.html`, [await answer.arrayBuffer()], type);
  } catch (problem) {
    announce(problem.message);
  }
}

function overall({ pages, startTime, completionTime }) {
  const seconds = (new Date(completionTime) - new Date(startTime)) / 1000;
  return seconds > 0 ? speed((pages.succeeded + pages.failed) / seconds) : "–";
}
