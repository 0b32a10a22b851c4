// A new job: write it, see what is wrong with it while writing, submit it.

import { ask, Problem, read } from "./api.js";
import { announce, fill, h, say } from "./dom.js";
import { Editor, lineOf } from "./editor.js";
import { plural } from "./format.js";

const PAUSE_MS = 350;
const DRAFT = "scrapering.draft";
const HEAD = "apiVersion: scrapering.io/v1alpha1\nkind: ScrapeJob\n";

const SAMPLES = {
  "A shop": `${HEAD}metadata:
  name: shop
spec:
  seeds:
    - url: https://shop.example/
  scope:
    scopeType: host
    maxDepth: 6
  follow:
    - selector: ul.categories a
    - selector: a.product-link
    - selector: li.next a
  politeness:
    delay: 1s
    concurrentRequestsPerHost: 1
  limits:
    maxPages: 1000
  extract:
    - name: product
      baseSelector: article.product
      fields:
        - name: title
          selector: h1
          required: true
        - name: price
          selector: .price
          type: number
        - name: image
          selector: img
          type: url
`,
  "Headings of a site": `${HEAD}metadata:
  name: docs
spec:
  seeds:
    - url: https://docs.example/
  scope:
    scopeType: prefix
  limits:
    maxPages: 500
  extract:
    - name: page
      fields:
        - name: title
          selector: title
          required: true
        - name: headings
          selector: h1, h2, h3
          type: list
          of: text
`,
  "One page": `${HEAD}metadata:
  name: one-page
spec:
  seeds:
    - url: https://news.example/
  scope:
    maxDepth: 0
  extract:
    - name: headline
      baseSelector: article
      fields:
        - name: title
          selector: h2
        - name: link
          selector: a
          type: url
`,
};

export function submitPage(place) {
  const verdict = h("p", { class: "check", role: "status" }, "Checked while you write.");
  const faults = h("ul", { class: "faults", id: "faults", "aria-label": "What is wrong" });
  const editor = new Editor({ id: "job", text: sessionStorage.getItem(DRAFT) || SAMPLES["A shop"], describedby: "faults", oninput: changed });
  const button = h("button", { type: "submit", class: "button primary" }, "Submit");
  const opened = h("input", { type: "file", accept: ".yaml,.yml,.json", class: "file", id: "file", onchange: open });
  let timer = 0;
  let round = 0;
  fill(place, h("div", { class: "head" }, h("div", {}, h("p", { class: "crumb" }, h("a", { href: "#/jobs" }, "Jobs")), h("h1", {}, "New job"))),
    h("form", { class: "submit", onsubmit: submit },
      h("div", { class: "samples" }, h("span", { class: "faint" }, "Begin with"),
        Object.entries(SAMPLES).map(([name, text]) => h("button", { type: "button", class: "button small", onclick: () => { editor.text = text; changed(); } }, name)),
        h("label", { for: "file", class: "button small" }, "a file…"), opened),
      h("label", { for: "job" }, "The job, in YAML or JSON"), editor.element,
      h("div", { class: "below" }, button, verdict), faults));
  changed();

  async function open() {
    const [file] = opened.files;
    if (!file) return;
    editor.text = await file.text();
    changed();
  }

  function changed() {
    sessionStorage.setItem(DRAFT, editor.text);
    clearTimeout(timer);
    timer = setTimeout(check, PAUSE_MS);
  }

  async function check() {
    const mine = (round += 1);
    try {
      await read("/v1/jobs:validate", { method: "POST", body: editor.text, headers: { "Content-Type": "application/yaml" } });
      if (mine === round) right();
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (mine === round) wrong(problem);
    }
  }

  function right() {
    verdict.className = "check good";
    say(verdict, "Every field is right.");
    editor.mark([]);
    fill(faults);
  }

  function wrong(problem) {
    const said = problem.errors.length ? problem.errors : [{ path: "", pointer: "", message: problem.message }];
    verdict.className = "check bad";
    say(verdict, problem.errors.length ? `${plural(problem.errors.length, "field")} ${problem.errors.length === 1 ? "is" : "are"} wrong.` : problem.title || "It cannot be checked.");
    const lines = said.map((one) => (one.pointer ? lineOf(editor.text, one.pointer) : lineInWords(one.message)));
    editor.mark(lines.filter((line) => line !== null));
    fill(faults, said.map(({ path, message }, number) => h("li", {},
      h("button", { type: "button", class: "fault", disabled: lines[number] === null, onclick: () => editor.go(lines[number]) },
        path && path !== "." ? h("code", {}, path) : null, h("span", {}, message), lines[number] === null ? null : h("span", { class: "faint" }, `line ${lines[number] + 1}`)))));
  }

  async function submit(event) {
    event.preventDefault();
    clearTimeout(timer);
    round += 1;
    button.disabled = true;
    try {
      const answer = await ask("/v1/jobs", { method: "POST", body: editor.text, headers: { "Content-Type": "application/yaml", "Idempotency-Key": crypto.randomUUID() } });
      const job = await answer.json();
      sessionStorage.removeItem(DRAFT);
      announce(`${job.metadata.name} was submitted.`);
      location.hash = `#/jobs/${job.metadata.uid}`;
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

/** Parsers name the line in words: `line 3, column 7: …`. */
function lineInWords(message) {
  const line = /\bline (\d+)/.exec(message)?.[1];
  return line ? Number(line) - 1 : null;
}
