// Pages per second over the last while, as a line.

import { h, s, say } from "./dom.js";
import { speed } from "./format.js";

const SECONDS = 90;

export class Curve {
  #values = [];

  constructor() {
    this.line = s("path", { class: "curve-line", d: "" });
    this.area = s("path", { class: "curve-area", d: "" });
    this.most = h("span", { class: "faint" });
    this.element = h("figure", { class: "curve", hidden: true },
      s("svg", { viewBox: `0 0 ${SECONDS} 40`, preserveAspectRatio: "none", "aria-hidden": "true" },
        s("path", { class: "curve-floor", d: `M0 39.500H${SECONDS}` }), this.area, this.line),
      h("figcaption", {}, h("span", {}, `Pages per second, the last ${SECONDS} s`), this.most));
  }

  add(value) {
    this.#values.push(value);
    if (this.#values.length > SECONDS) this.#values.shift();
    if (this.#values.length < 3) return;
    this.element.hidden = false;
    const most = Math.max(...this.#values, 1);
    const from = SECONDS - this.#values.length + 1;
    const points = this.#values.map((one, place) => `${from + place} ${(38 - (one / most) * 34).toFixed(2)}`).join("L");
    this.line.setAttribute("d", `M${points}`);
    this.area.setAttribute("d", `M${from} 40L${points}L${SECONDS} 40Z`);
    say(this.most, `peak ${speed(most)}`);
  }
}
