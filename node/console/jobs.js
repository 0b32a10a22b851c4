// Every job of the ring, the newest first, with how far each is.

import { live, read, session } from "./api.js";
import { empty, fill, h, s, say, trouble } from "./dom.js";
import { ago, bar, brief, count, isOver, pill, settled, Speed, speed } from "./format.js";

const LOOK_MS = 1000;
const QUIET_MS = 4000;

export function jobsPage(place) {
  const list = h("ul", { class: "jobs" });
  const failure = h("div");
  const filter = h("input", { type: "search", class: "filter", "aria-label": "Filter jobs by name or phase", placeholder: "Filter", oninput: show });
  const speeds = new Map();
  const tools = h("div", { class: "tools" }, filter,
    session.may("jobs:write") ? h("a", { href: "#/jobs/new", class: "button primary" }, "New job") : null);
  let jobs = null;
  fill(place, h("div", { class: "head" }, h("h1", {}, "Jobs"), tools), failure, list);

  function row(job) {
    const { metadata: { name, uid, creationTimestamp }, status: { phase, pages, items, reason } } = job;
    const rate = speeds.get(uid)?.at(performance.now(), settled(pages)) || 0;
    return h("li", { class: "job-row" },
      h("div", { class: "job-name" }, h("a", { href: `#/jobs/${uid}` }, name), h("span", { class: "faint" }, ago(creationTimestamp))),
      h("div", { class: "job-phase" }, pill(phase), reason ? h("span", { class: "faint reason" }, reason) : null),
      h("div", { class: "job-progress" }, bar(pages),
        h("span", { class: "figures" }, `${brief(settled(pages))} of ${brief(pages.discovered)} pages`, phase === "Running" ? ` · ${speed(rate)}/s` : "")),
      h("div", { class: "job-items" }, h("b", {}, brief(items)), h("span", { class: "faint" }, items === 1 ? " item" : " items")),
      h("div", { class: "job-failed" }, pages.failed > 0 ? h("span", { class: "bad-words" }, `${count(pages.failed)} failed`) : h("span", { class: "faint" }, "no failures")),
      s("svg", { viewBox: "0 0 24 24", class: "icon chevron", "aria-hidden": "true" }, s("path", { d: "M9 5l7 7-7 7" })));
  }

  function show() {
    if (!jobs) return;
    const words = filter.value.trim().toLowerCase();
    const shown = jobs.filter((job) => `${job.metadata.name} ${job.metadata.uid} ${job.status.phase}`.toLowerCase().includes(words));
    if (jobs.length === 0) {
      return fill(list, h("li", {}, empty("No jobs yet", "A job says where to start, which pages belong to it, how gently to go and what to take from each page.",
        session.may("jobs:write") ? h("a", { href: "#/jobs/new", class: "button primary" }, "Write the first one") : null,
        h("p", { class: "hint" }, "or on the command line: ", h("code", {}, "scrapering job submit JOB.yaml")))));
    }
    if (shown.length === 0) return fill(list, h("li", { class: "none" }, `No job fits “${filter.value.trim()}”.`));
    const focused = document.activeElement?.closest?.(".job-row a")?.getAttribute("href");
    fill(list, shown.map(row));
    if (focused) list.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
  }

  return live(async (signal) => {
    jobs = (await read("/v1/jobs", { signal })).items;
    jobs.sort((a, b) => b.metadata.creationTimestamp.localeCompare(a.metadata.creationTimestamp));
    for (const { metadata: { uid } } of jobs) if (!speeds.has(uid)) speeds.set(uid, new Speed());
    fill(failure);
    show();
    say(document.querySelector("title"), `Jobs (${jobs.length}) – ScrapeRing`);
    return jobs.some((job) => !isOver(job.status.phase)) ? LOOK_MS : QUIET_MS;
  }, { onerror: (problem) => problem.status !== 0 && fill(failure, trouble(problem)) });
}
