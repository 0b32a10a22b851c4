// Every node in figures, and what the node that answers does without being asked.

import { ask, live, read, session } from "./api.js";
import { announce, confirmed, empty, fill, h, trouble } from "./dom.js";
import { count, percent } from "./format.js";

const LOOK_MS = 2000;
const NODE_COLUMNS = ["Node", "State", "Zone", "Weight", "First owner of", "Copies", "Generation", "Address", "Gateway", ""];
const FIGURES = ["Weight", "First owner of", "Copies", "Generation", "Done", "Left"];
const TASK_COLUMNS = ["Work", "State", "Done", "Left", "At"];
/** What each kind of work is for. */
const PURPOSES = {
  chord: "keeps the ring's pointers right", "view exchange": "tells others which views are the newest", "view steward": "replaces and moves owners",
  "body repair": "fetches copies of bodies that are missing here", "register comparison": "compares records with their other copies",
  "body comparison": "compares bodies with their other copies", "body hand-over": "gives bodies to their new owners",
  "body sweep": "removes bodies that nothing refers to", "chunk sweep": "removes pieces of files that are gone",
};

function table(label, columns, rows) {
  return h("div", { class: "table-scroll middle", tabindex: 0, role: "region", "aria-label": label },
    h("table", {}, h("thead", {}, h("tr", {}, columns.map((name) => (name ? h("th", { scope: "col", class: FIGURES.includes(name) ? "number" : null }, name) : h("td"))))), h("tbody", {}, rows)));
}

export function nodesPage(place) {
  const nodes = h("div");
  const work = h("div");
  const failure = h("div");
  let drawn = "";
  fill(place, h("div", { class: "head" }, h("h1", {}, "Nodes")), failure, nodes,
    h("h2", { class: "section" }, "Background work"),
    h("p", { class: "lead" }, "What this node does without being asked: fetching copies, comparing them, handing over, sweeping. Every node shows its own at its own gateway."), work);

  async function dismiss(name) {
    const sure = await confirmed(`Make ${name} leave?`, `${name} hands over every copy it keeps, then it is no member any more. It comes back only as a new node.`, `Make ${name} leave`);
    if (!sure) return;
    try {
      await ask(`/v1/nodes/${encodeURIComponent(name)}`, { method: "DELETE" });
      announce(`${name} has begun to leave.`);
    } catch (problem) {
      fill(failure, trouble(problem));
    }
  }

  function nodeRow(node, own) {
    const state = node.liveness === "alive" ? node.serving : node.liveness;
    const tone = node.liveness === "alive" ? (node.serving === "serving" ? "good" : "busy") : node.liveness === "suspect" ? "warn" : "bad";
    const gateway = node.gateway ? h("a", { href: `https://${node.gateway}/`, rel: "noreferrer", target: "_blank" }, node.gateway) : "–";
    return h("tr", {}, h("th", { scope: "row" }, node.name, node.name === own ? h("span", { class: "faint" }, " (this)") : null),
      h("td", {}, h("span", { class: `pill ${tone}` }, state)), h("td", {}, node.zone || "–"), h("td", { class: "number" }, node.weight),
      h("td", { class: "number" }, percent(node.share)), h("td", { class: "number" }, count(node.copies)), h("td", { class: "number" }, node.generation),
      h("td", { class: "mono" }, node.address), h("td", { class: "mono" }, gateway),
      h("td", {}, session.may("ring:admin") && node.liveness === "alive" && node.serving === "serving"
        ? h("button", { type: "button", class: "button small", onclick: () => dismiss(node.name), "aria-label": `Make ${node.name} leave` }, "Leave…") : null));
  }

  function taskRow(task) {
    const tone = { working: "busy", waiting: "waiting", failing: "bad", ended: "waiting" }[task.state] || "waiting";
    const words = task.state === "failing" ? task.lastFailure : task.text;
    return h("tr", {}, h("th", { scope: "row" }, task.name, h("span", { class: "purpose" }, PURPOSES[task.name] || null)), h("td", {}, h("span", { class: `pill ${tone}` }, task.state)),
      h("td", { class: "number" }, count(task.done)), h("td", { class: "number" }, task.remaining === undefined ? "–" : count(task.remaining)),
      h("td", { class: "wide-words" }, words || "–"));
  }

  return live(async (signal) => {
    const ring = await read("/v1/ring", { signal });
    const state = JSON.stringify([ring.nodes, ring.background]);
    if (state === drawn) return LOOK_MS;
    const focused = place.contains(document.activeElement) && document.activeElement.tagName === "BUTTON";
    if (focused && drawn) return LOOK_MS;
    drawn = state;
    fill(failure);
    fill(nodes, table("Nodes", NODE_COLUMNS, ring.nodes.map((node) => nodeRow(node, ring.node))));
    fill(work, ring.background.length ? table("Background work", TASK_COLUMNS, ring.background.map(taskRow))
      : empty("Nothing to do", "This node runs no background work just now."));
    return LOOK_MS;
  }, { onerror: (problem) => problem.status !== 0 && fill(failure, trouble(problem)) });
}
