// The picture of the ring: on the rim every copy of every partition, inside it where the virtual nodes sit, in the
// middle what it means. Partition 0 is at the top, and keys grow clockwise.

import { h, s } from "./dom.js";

const RANK_WIDTHS = [20, 11, 11, 11, 11, 11, 11];
const RIM = 276;
const GAP = 2.5;
const TAU = Math.PI * 2;

/** Hues that stay apart from each other and stay with a node while others come and go. */
export const hue = (place) => (205 + place * 137.508) % 360;

const at = (radius, turn) => {
  const angle = turn * TAU - Math.PI / 2;
  return `${(radius * Math.cos(angle)).toFixed(2)} ${(radius * Math.sin(angle)).toFixed(2)}`;
};

/** A piece of a ring between two radii and two turns (0 to 1). */
function sector(outer, inner, from, to) {
  const large = to - from > 0.5 ? 1 : 0;
  return `M${at(outer, from)}A${outer} ${outer} 0 ${large} 1 ${at(outer, to)}L${at(inner, to)}A${inner} ${inner} 0 ${large} 0 ${at(inner, from)}Z`;
}

/** The place of a point of 40 hex digits on the circle, 0 to 1. */
const turnOf = (point) => Number.parseInt(point.slice(0, 12), 16) / 2 ** 48;

export class Circle {
  #drawn = "";
  #map = null;
  #liveness = new Map();

  constructor({ onpartition }) {
    this.title = s("title", {}, "The ring");
    this.copies = s("g", { class: "copies" });
    this.moving = s("g", { class: "moving" });
    this.spokes = s("g", { class: "spokes" });
    this.needle = s("path", { class: "needle", d: "" });
    this.svg = s("svg", { viewBox: "-300 -300 600 600", class: "circle", role: "img", "aria-labelledby": "circle-words" },
      s("circle", { r: 178, class: "road" }), this.spokes, this.copies, this.moving, this.needle);
    this.words = h("p", { id: "circle-words", class: "hidden" });
    this.svg.addEventListener("pointermove", (event) => onpartition(this.#partitionAt(event)));
    this.svg.addEventListener("pointerleave", () => onpartition(null));
  }

  /** Draws the map; `nodes` say who lives. Nothing is touched that has not changed. */
  draw(map, nodes) {
    this.#map = map;
    this.#liveness = new Map(nodes.map((node) => [node.name, node.liveness]));
    const state = JSON.stringify([map.nodes.map((node) => [node.name, this.#liveness.get(node.name)]), map.partitions]);
    if (state === this.#drawn) return;
    this.#drawn = state;
    this.copies.replaceChildren(...map.nodes.map((node, place) => this.#copiesOf(node, place)));
    this.spokes.replaceChildren(...map.nodes.map((node, place) => this.#spokesOf(node, place)));
    this.#drawMoving();
    this.words.textContent = this.#inWords(nodes);
  }

  /** Brings one node forward; null brings all back. */
  select(name) {
    this.svg.classList.toggle("chosen", name !== null);
    for (const part of this.svg.querySelectorAll("[data-node]")) part.classList.toggle("mine", part.dataset.node === name);
  }

  /** Points at a partition; null at none. */
  point(partition) {
    const total = this.#map?.partitions.length || 256;
    const turn = (partition + 0.5) / total;
    this.needle.setAttribute("d", partition === null ? "" : `M${at(160, turn)}L${at(RIM + 4, turn)}`);
  }

  #class(node) {
    return this.#liveness.get(node.name) || "dead";
  }

  #copiesOf(node, place) {
    const { partitions } = this.#map;
    const step = 1 / partitions.length;
    const ranks = new Map();
    partitions.forEach((partition, number) => {
      const rank = partition.members.indexOf(place);
      if (rank < 0) return;
      const { outer, inner } = lane(rank);
      const d = sector(outer, inner, number * step + step * 0.06, (number + 1) * step - step * 0.06);
      ranks.set(rank, (ranks.get(rank) || "") + d);
    });
    return s("g", { class: `node ${this.#class(node)}`, "data-node": node.name, "--hue": hue(place) },
      [...ranks].map(([rank, d]) => s("path", { d, class: rank === 0 ? "first" : "copy" })));
  }

  #spokesOf(node, place) {
    const d = node.points.map((point) => `M${at(172, turnOf(point))}L${at(184, turnOf(point))}`).join("");
    return s("path", { d, class: `spoke ${this.#class(node)}`, "data-node": node.name, "--hue": hue(place) });
  }

  #drawMoving() {
    const { partitions } = this.#map;
    const step = 1 / partitions.length;
    const band = (test) => partitions
      .map((partition, number) => (test(partition) ? sector(RIM + 12, RIM + 6, number * step, (number + 1) * step) : "")).join("");
    this.moving.replaceChildren(
      s("path", { d: band((partition) => partition.movingTo), class: "wanted" }),
      s("path", { d: band((partition) => partition.sealed), class: "sealed" }),
      s("path", { d: band((partition) => this.living(partition) <= partition.members.length / 2), class: "lost-majority" }));
  }

  /** How many members of a partition live. */
  living(partition) {
    return partition.members.filter((place) => this.#liveness.get(this.#map.nodes[place]?.name) === "alive").length;
  }

  #partitionAt(event) {
    if (!this.#map) return null;
    const box = this.svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * 600 - 300;
    const y = ((event.clientY - box.top) / box.height) * 600 - 300;
    const radius = Math.hypot(x, y);
    if (radius < 120 || radius > RIM + 14) return null;
    const turn = ((Math.atan2(y, x) + Math.PI / 2 + TAU) % TAU) / TAU;
    return Math.floor(turn * this.#map.partitions.length);
  }

  #inWords(nodes) {
    const alive = nodes.filter((node) => node.liveness === "alive").length;
    const moving = this.#map.partitions.filter((partition) => partition.movingTo).length;
    const gone = nodes.filter((node) => node.liveness !== "alive").map((node) => `${node.name} is ${node.liveness}`);
    return `The ring with ${nodes.length} nodes, ${alive} of them alive${gone.length ? `; ${gone.join(", ")}` : ""}. ` +
      `${this.#map.partitions.length} partitions, ${moving} being handed over. The table of nodes says the same in words.`;
  }
}

function lane(rank) {
  const before = RANK_WIDTHS.slice(0, rank).reduce((sum, width) => sum + width + GAP, 0);
  return { outer: RIM - before, inner: RIM - before - RANK_WIDTHS[Math.min(rank, RANK_WIDTHS.length - 1)] };
}
