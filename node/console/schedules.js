// The schedules of the ring: when each makes its next job, what came of the last ones, and the levers.

import { ask, live, read, session } from "./api.js";
import { announce, confirmed, empty, fill, h, trouble } from "./dom.js";
import { ago, brief, pill, plural, tag, when } from "./format.js";

const LOOK_MS = 3000;

export function schedulesPage(place) {
  const failure = h("div");
  const list = h("div", { class: "schedules" });
  const mayWrite = session.may("jobs:write");
  let drawn = "";
  fill(place, h("div", { class: "head" }, h("h1", {}, "Schedules"),
    mayWrite ? h("div", { class: "tools" }, h("a", { href: "#/schedules/new", class: "button primary" }, "New schedule")) : null), failure, list);

  function lever(words, act, more = "") {
    const button = h("button", { type: "button", class: `button small ${more}`, onclick: async () => {
      button.disabled = true;
      try {
        await act();
        fill(failure);
        drawn = "";
        await look();
      } catch (problem) {
        fill(failure, trouble(problem));
      }
      button.disabled = false;
    } }, words);
    return button;
  }

  function levers({ metadata: { name }, spec }) {
    const path = `/v1/schedules/${encodeURIComponent(name)}`;
    const patch = (suspend) => ask(path, { method: "PATCH", body: JSON.stringify({ spec: { suspend } }), headers: { "Content-Type": "application/json" } });
    return [
      lever("Make a job now", async () => {
        const job = await read(`${path}/trigger`, { method: "POST", headers: { "Idempotency-Key": crypto.randomUUID() } });
        announce(`${job.metadata.name} was made.`);
      }),
      spec.suspend ? lever("Resume", () => patch(false).then(() => announce(`${name} goes on.`))) : lever("Suspend", () => patch(true).then(() => announce(`${name} makes no jobs until it is resumed.`))),
      lever("Delete…", async () => {
        if (!await confirmed(`Delete ${name}?`, "It makes no more jobs. Those that it has made stay.", "Delete the schedule")) return;
        await ask(path, { method: "DELETE" });
        announce(`${name} is deleted.`);
      }, "danger-quiet"),
    ];
  }

  function card(schedule, runs) {
    const { metadata: { name }, spec, status } = schedule;
    const next = spec.suspend ? "it is suspended" : status.nextScheduleTime ? [ago(status.nextScheduleTime), ", ", when(status.nextScheduleTime)] : "none comes any more";
    const facts = [["Next job", next], ["Last time", status.lastScheduleTime ? when(status.lastScheduleTime) : "none yet"],
      ["Last success", status.lastSuccessfulTime ? when(status.lastSuccessfulTime) : "none yet"], ["If one still runs", POLICIES[spec.concurrencyPolicy] || spec.concurrencyPolicy]];
    return h("section", { class: "card schedule", "aria-label": name },
      h("div", { class: "schedule-head" }, h("div", {}, h("h2", {}, name, " ", spec.suspend ? tag("warn", "suspended") : status.active.length ? tag("busy", `${plural(status.active.length, "job")} running`) : tag("good", "on time")),
        h("p", { class: "faint" }, h("code", {}, spec.schedule), ` ${spec.timeZone || "UTC"}`)),
        mayWrite ? h("div", { class: "tools" }, levers(schedule)) : null),
      h("dl", { class: "schedule-facts" }, facts.map(([word, value]) => h("div", {}, h("dt", {}, word), h("dd", {}, value)))),
      runs.length ? h("ul", { class: "runs", "aria-label": `Jobs of ${name}` }, runs.map(({ metadata, status: run }) => h("li", {},
        h("a", { href: `#/jobs/${metadata.uid}` }, metadata.name), pill(run.phase), h("span", { class: "faint" }, `${brief(run.pages.succeeded)} pages, ${brief(run.items)} items`),
        h("span", { class: "faint" }, ago(metadata.creationTimestamp))))) : h("p", { class: "hint" }, "It has made no job yet."));
  }

  async function look(signal) {
    const { items } = await read("/v1/schedules", { signal });
    const runs = await Promise.all(items.map(({ metadata: { name } }) => read(`/v1/schedules/${encodeURIComponent(name)}/runs`, { signal })));
    fill(failure);
    const state = JSON.stringify([items, runs]);
    if (state === drawn || (list.contains(document.activeElement) && drawn)) return LOOK_MS;
    drawn = state;
    fill(list, items.length ? items.map((schedule, number) => card(schedule, runs[number].items.slice(0, 5)))
      : empty("No schedules yet", "A schedule makes a job at the times of a cron expression, once each, whichever nodes die.",
        mayWrite ? h("a", { href: "#/schedules/new", class: "button primary" }, "Write the first one") : null,
        h("p", { class: "hint" }, "or on the command line: ", h("code", {}, "scrapering schedule create nightly.yaml"))));
    return LOOK_MS;
  }

  return live(look, { onerror: (problem) => problem.status !== 0 && fill(failure, trouble(problem)) });
}

const POLICIES = { Allow: "a second one runs beside it", Forbid: "the time is left out", Replace: "it is stopped for the new one" };
