// A new job or a new schedule: write it, see what is wrong with it while writing, submit it.

import { ask, Problem, read } from "./api.js";
import { announce, fill, h, say } from "./dom.js";
import { Editor, lineOf } from "./editor.js";
import { plural } from "./format.js";
import { JOBS, SCHEDULES } from "./samples.js";
import { Trial } from "./trial.js";

const PAUSE_MS = 350;
const YAML = { "Content-Type": "application/yaml" };

/** A new job; it is checked while it is written. */
export const submitPage = (place) => writer(place, {
  parent: ["#/jobs", "Jobs"], title: "New job", label: "The job, in YAML or JSON", draft: "scrapering.draft", samples: JOBS, to: "/v1/jobs",
  check: async (body) => (await read("/v1/jobs:validate", { method: "POST", body, headers: YAML })).job,
  leads: (job) => `#/jobs/${job.metadata.uid}`,
});

/** A new schedule; it is checked when it is submitted. */
export const newSchedulePage = (place) => writer(place, {
  parent: ["#/schedules", "Schedules"], title: "New schedule", label: "The schedule, in YAML or JSON", draft: "scrapering.schedule-draft", samples: SCHEDULES, to: "/v1/schedules",
  leads: () => "#/schedules",
});

function writer(place, { parent, title, label, draft, samples, to, check, leads }) {
  const verdict = h("p", { class: "check", role: "status" }, check ? "Checked while you write." : "Checked when you submit it.");
  const faults = h("ul", { class: "faults", id: "faults", "aria-label": "What is wrong" });
  const plan = h("div", { class: "plan" });
  const trial = new Trial();
  const editor = new Editor({ id: "job", text: sessionStorage.getItem(draft) || Object.values(samples)[0], describedby: "faults", oninput: changed });
  const button = h("button", { type: "submit", class: "button primary" }, "Submit");
  const opened = h("input", { type: "file", accept: ".yaml,.yml,.json", class: "file", id: "file", onchange: open });
  let timer = 0;
  let round = 0;
  fill(place, h("div", { class: "head" }, h("div", {}, h("p", { class: "crumb" }, h("a", { href: parent[0] }, parent[1])), h("h1", {}, title))),
    h("form", { class: "submit", onsubmit: submit },
      h("div", { class: "samples" }, h("span", { class: "faint" }, "Begin with"),
        Object.entries(samples).map(([name, text]) => h("button", { type: "button", class: "button small", onclick: () => { editor.text = text; changed(); } }, name)),
        h("label", { for: "file", class: "button small" }, "A file…"), opened),
      h("label", { for: "job" }, label),
      h("div", { class: "desk" }, editor.element, h("div", { class: "beside-desk" }, h("div", { class: "below" }, button, verdict), faults, plan, trial.element))));
  changed();

  async function open() {
    const [file] = opened.files;
    if (!file) return;
    editor.text = await file.text();
    changed();
  }

  function changed() {
    sessionStorage.setItem(draft, editor.text);
    clearTimeout(timer);
    if (check) timer = setTimeout(look, PAUSE_MS);
  }

  async function look() {
    const mine = (round += 1);
    try {
      const job = await check(editor.text);
      if (mine === round) right(job);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (mine === round) wrong(problem);
    }
  }

  function right(job) {
    verdict.className = "check good";
    say(verdict, "Every field is right.");
    editor.mark([]);
    fill(faults);
    trial.know(job.spec);
    fill(plan, h("h2", {}, "What it will do"), h("dl", {}, planOf(job.spec).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))));
  }

  function wrong(problem) {
    const said = problem.errors.length ? problem.errors : [{ path: "", pointer: "", message: problem.message }];
    verdict.className = "check bad";
    say(verdict, problem.errors.length ? `${plural(problem.errors.length, "field")} ${problem.errors.length === 1 ? "is" : "are"} wrong.` : problem.title || "It cannot be checked.");
    const lines = said.map((one) => (one.pointer ? lineOf(editor.text, one.pointer) : lineInWords(one.message)));
    editor.mark(lines.filter((line) => line !== null));
    fill(plan);
    trial.hide();
    fill(faults, said.map(({ path, message }, number) => h("li", {},
      h("button", { type: "button", class: "fault", disabled: lines[number] === null, onclick: () => editor.go(lines[number]) },
        path && path !== "." ? h("code", {}, path) : null, h("span", {}, inWords(message)), lines[number] === null ? null : h("span", { class: "faint" }, `line ${lines[number] + 1}`)))));
  }

  async function submit(event) {
    event.preventDefault();
    clearTimeout(timer);
    round += 1;
    button.disabled = true;
    try {
      const answer = await ask(to, { method: "POST", body: editor.text, headers: { ...YAML, ...(check ? { "Idempotency-Key": crypto.randomUUID() } : {}) } });
      const made = await answer.json();
      sessionStorage.removeItem(draft);
      announce(`${made.metadata.name} was submitted.`);
      location.hash = leads(made);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      wrong(problem);
      faults.querySelector("button:not([disabled])")?.focus();
    } finally {
      button.disabled = false;
    }
  }

  return () => clearTimeout(timer);
}

const SCOPES = { page: "only the seeds", prefix: "what begins like a seed", host: "the hosts of the seeds", domain: "the domains of the seeds", any: "every host", custom: "what its patterns say" };

/** A checked job in a few lines of words, with the defaults that were filled in. */
function planOf({ seeds = [], scope = {}, politeness = {}, limits = {}, extract = [], request = {} }) {
  const first = seeds[0] || {};
  const begin = first.url || first.sitemap || first.feed || first.sitemapsOf || "–";
  const bounds = [limits.maxPages && `${plural(limits.maxPages, "page")}`, limits.maxDuration && `${limits.maxDuration}`, limits.maxItems && plural(limits.maxItems, "item")].filter(Boolean);
  return [
    ["Begins at", seeds.length > 1 ? `${begin} and ${plural(seeds.length - 1, "more seed")}` : begin],
    ["Stays in", `${SCOPES[scope.scopeType] || scope.scopeType}${scope.maxDepth === undefined ? "" : `, ${plural(scope.maxDepth, "link")} deep`}`],
    ["Visits a host", `${plural(politeness.concurrentRequestsPerHost ?? 1, "request")} at a time, ${politeness.delay || "0s"} apart${politeness.robots?.obey === false ? ", without robots.txt" : ", as robots.txt says"}`],
    ["Ends after", bounds.length ? bounds.join(" or ") : "every page in scope"],
    ["Takes", extract.length ? extract.map((rule) => `${rule.name} (${rule.fields.map((field) => field.name).join(", ")})`).join("; ") : "nothing but the pages' records"],
    ["Says it is", request.userAgent || "ScrapeRing"],
  ];
}

/** What stands in backticks, as code. */
const inWords = (message) => message.split("`").map((part, number) => (number % 2 ? h("code", {}, part) : part));

/** Parsers name the line in words: `line 3, column 7: …`. */
function lineInWords(message) {
  const line = /\bline (\d+)/.exec(message)?.[1];
  return line ? Number(line) - 1 : null;
}
