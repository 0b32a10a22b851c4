// Tabs after the pattern of the ARIA practices: one stop for Tab, arrows between them, each with a count if it has one.

import { fill, h, say } from "./dom.js";
import { brief } from "./format.js";

export class Tabs {
  #names;

  /** `entries`: name and words of each; `onopen` fills the panel for one. */
  constructor(label, entries, onopen) {
    this.#names = entries.map(([name]) => name);
    this.onopen = onopen;
    [this.open] = this.#names;
    this.list = h("div", { class: "tabs", role: "tablist", "aria-label": label, onkeydown: (event) => this.#turn(event) },
      entries.map(([name, words]) => h("button", { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": "panel", "data-tab": name, onclick: () => this.show(name) },
        words, h("span", { class: "tab-count" }))));
    this.panel = h("div", { class: "panel", id: "panel", role: "tabpanel", tabindex: 0 });
  }

  show(name) {
    this.open = name;
    for (const button of this.list.children) {
      button.setAttribute("aria-selected", String(button.dataset.tab === name));
      button.tabIndex = button.dataset.tab === name ? 0 : -1;
    }
    this.panel.setAttribute("aria-labelledby", `tab-${name}`);
    fill(this.panel, this.onopen(name));
  }

  /** How many entries a tab has; nothing is shown for none. */
  count(name, value) {
    const place = this.list.querySelector(`[data-tab="${name}"] .tab-count`);
    say(place, value ? ` ${brief(value)}` : "");
  }

  #turn(event) {
    const at = this.#names.indexOf(this.open);
    const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    this.show(this.#names.at(next % this.#names.length));
    const button = this.list.querySelector("[aria-selected=true]");
    button.focus();
    button.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
}
