// The ring at a glance: its picture, what it means, every node, and where a key lives.

import { live, read } from "./api.js";
import { Circle, hue } from "./circle.js";
import { fill, h, say, trouble } from "./dom.js";
import { count, percent, plural } from "./format.js";

const LOOK_MS = 1000;

/** One sentence that says how the ring is, and how much that matters. */
export function verdict({ nodes, views, tolerates }) {
  const down = nodes.filter((node) => node.liveness !== "alive").map((node) => node.name);
  if (views.unavailable > 0) {
    return ["bad", "Too few nodes live", `${plural(views.unavailable, "partition")} of ${views.count} cannot be read or changed until nodes come back.`];
  }
  const names = down.length > 3 ? plural(down.length, "node") : down.join(" and ");
  if (down.length > 0) {
    return ["warn", `${names} ${down.length === 1 ? "does" : "do"} not answer`,
      tolerates > 0 ? `Nothing is lost, and ${plural(tolerates, "more node")} may fail.` : "Nothing is lost. No further node may fail until one is back."];
  }
  if (views.moving > 0 || views.sealed > 0) {
    return ["busy", "Copies are moving", `${plural(Math.max(views.moving, views.sealed), "partition")} of ${views.count} are being handed over.`];
  }
  const may = tolerates === 0 ? "No node may fail: a ring of five survives two." : `${plural(tolerates, "node")} may fail at the same instant, and nothing is lost.`;
  return ["good", "All is well", may];
}

export function ringPage(place) {
  const heading = h("h1", {}, "Ring");
  const readout = h("div", { class: "readout" });
  const circle = new Circle({ onpartition: hover });
  const legend = h("ul", { class: "legend", "aria-label": "Nodes" });
  const status = h("div", { class: "verdict" });
  const facts = h("dl", { class: "facts" });
  const failure = h("div");
  const found = h("div", { class: "found", "aria-live": "polite" });
  const field = h("input", { id: "key", type: "text", autocomplete: "off", spellcheck: "false", placeholder: "books.example" });
  const lookup = h("form", { class: "lookup", onsubmit: find },
    h("label", { for: "key" }, "Where does a key or host live?"),
    h("div", { class: "row" }, field, h("button", { class: "button", type: "submit" }, "Look up")), found);
  let ring = null;
  let map = null;
  let pinned = null;
  fill(place, h("div", { class: "head" }, heading), failure,
    h("div", { class: "ring-page" },
      h("div", { class: "picture" }, circle.svg, readout, circle.words),
      h("div", { class: "beside" }, status, legend, facts, lookup)));

  function hover(partition) {
    const shown = partition ?? pinned;
    circle.point(shown);
    if (shown === null || !map) return centre();
    const view = map.partitions[shown];
    const names = (places) => places.map((number) => map.nodes[number].name);
    fill(readout, h("span", { class: "readout-small" }, "partition"), h("strong", {}, shown),
      h("span", { class: "readout-names" }, names(view.members).map((name, number) => h("span", { class: number === 0 ? "owner" : "" }, name))),
      h("span", { class: "readout-small" }, view.movingTo ? `moves to ${names(view.movingTo).join(", ")}` : `view ${view.epoch}`));
  }

  function centre() {
    if (!ring) return;
    const alive = ring.nodes.filter((node) => node.liveness === "alive").length;
    const whole = alive === ring.nodes.length;
    fill(readout, h("strong", {}, whole ? alive : `${alive}/${ring.nodes.length}`), h("span", {}, whole ? "nodes, all alive" : "nodes alive"),
      h("span", { class: "readout-small" }, `${count(ring.views.count - ring.views.moving)} of ${count(ring.views.count)} partitions in place`));
  }

  function showLegend() {
    const same = [...legend.children].map((row) => row.dataset.name).join() === ring.nodes.map((node) => node.name).join();
    if (!same) {
      fill(legend, ring.nodes.map((node) => {
        const button = h("button", { type: "button", class: "node-row", "aria-pressed": "false", onclick: choose,
          onpointerenter: () => circle.select(node.name), onpointerleave: back, onfocus: () => circle.select(node.name), onblur: back },
        h("span", { class: "swatch", "aria-hidden": "true", "--hue": hue(map.nodes.findIndex((other) => other.name === node.name)) }),
        h("b", {}), h("span", { class: "state" }), h("span", { class: "copies-of" }), h("span", { class: "share" }));
        function choose() {
          const isChosen = button.getAttribute("aria-pressed") === "true";
          for (const other of legend.querySelectorAll("button")) other.setAttribute("aria-pressed", "false");
          button.setAttribute("aria-pressed", String(!isChosen));
          circle.select(isChosen ? null : node.name);
        }
        return h("li", { "data-name": node.name }, button);
      }));
    }
    ring.nodes.forEach((node, number) => {
      const button = legend.children[number].firstChild;
      const [, name, state, copies, share] = button.children;
      button.classList.toggle("down", node.liveness !== "alive");
      say(name, node.name);
      say(state, node.liveness === "alive" ? (node.serving === "serving" ? "alive" : node.serving) : node.liveness);
      say(copies, plural(node.copies, "copy", "copies"));
      say(share, `first for ${percent(node.share)}`);
    });
  }

  function back() {
    const chosen = legend.querySelector("[aria-pressed=true]");
    circle.select(chosen ? chosen.parentElement.dataset.name : null);
  }

  function showFacts() {
    const [tone, words, more] = verdict(ring);
    status.className = `verdict ${tone}`;
    fill(status, h("h2", {}, words), h("p", {}, more));
    const { views } = ring;
    const rows = [["Partitions", views.count], ["Being handed over", views.moving], ["With too few living copies", views.underReplicated], ["Without a majority", views.unavailable]];
    fill(facts, rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", { class: value > 0 && name !== "Partitions" ? "notable" : "" }, count(value)))));
    facts.append(h("div", {}, h("dt", {}, "Seen by"), h("dd", {}, ring.node)));
  }

  async function find(event) {
    event.preventDefault();
    const key = field.value.trim();
    if (!key) return field.focus();
    try {
      const where = await read(`/v1/ring/lookup?${new URLSearchParams({ key })}`);
      pinned = where.partition;
      hover(null);
      const way = where.path.length ? `asked ${where.path.join(", then ")}` : `${ring?.node || "this node"} knew it by itself`;
      fill(found, h("p", {}, h("b", {}, where.owners[0]), " owns it, in partition ", h("b", {}, where.partition), "."),
        h("p", { class: "faint" }, `Copies: ${where.owners.join(", ")}. On the way: ${way}.`));
    } catch (problem) {
      fill(found, trouble(problem));
    }
  }

  return live(async (signal) => {
    [ring, map] = await Promise.all([read("/v1/ring", { signal }), read("/v1/ring/map", { signal })]);
    fill(failure);
    circle.draw(map, ring.nodes);
    showLegend();
    showFacts();
    back();
    if (!readout.matches(":empty") && pinned === null && circle.needle.getAttribute("d")) return LOOK_MS;
    if (pinned === null) centre();
    return LOOK_MS;
  }, { onerror: (problem) => problem.status !== 0 && fill(failure, trouble(problem)) });
}
