// A field for YAML with line numbers that can be marked, and the line where a JSON pointer leads.

import { fill, h } from "./dom.js";

/** Most lines that are numbered. */
const MOST_LINES = 2000;

export class Editor {
  constructor({ id, text, describedby, oninput }) {
    this.lines = h("div", { class: "editor-lines", "aria-hidden": "true" });
    this.field = h("textarea", {
      id, class: "editor-text", spellcheck: "false", autocomplete: "off", autocapitalize: "off", wrap: "off", rows: 24,
      "aria-describedby": describedby, ".value": text, oninput: () => { this.#number(); oninput(); }, onscroll: () => this.#follow(), onkeydown: (event) => this.#key(event),
    });
    this.element = h("div", { class: "editor" }, this.lines, this.field);
    this.marked = new Set();
    this.#number();
  }

  get text() {
    return this.field.value;
  }

  set text(text) {
    this.field.value = text;
    this.#number();
  }

  /** Marks these lines (0 is the first) as wrong. */
  mark(lines) {
    this.marked = new Set(lines);
    [...this.lines.children].forEach((line, number) => line.classList.toggle("wrong-line", this.marked.has(number)));
    this.field.setAttribute("aria-invalid", String(lines.length > 0));
  }

  /** Puts the cursor into a line. */
  go(line) {
    const lines = this.text.split("\n");
    const start = lines.slice(0, line).reduce((sum, one) => sum + one.length + 1, 0);
    this.field.focus();
    this.field.setSelectionRange(start, start + (lines[line] || "").length);
    const height = this.field.scrollHeight / Math.max(lines.length, 1);
    this.field.scrollTop = Math.max(0, (line - 5) * height);
  }

  #number() {
    const total = Math.min(this.text.split("\n").length, MOST_LINES);
    if (this.lines.childElementCount !== total) fill(this.lines, Array.from({ length: total }, (_, number) => h("div", {}, number + 1)));
    this.mark([...this.marked]);
    this.#follow();
  }

  #follow() {
    this.lines.scrollTop = this.field.scrollTop;
  }

  #key(event) {
    // Tab must go on leading out of the field; Enter keeps the indentation, as YAML needs it.
    if (event.key !== "Enter" || event.isComposing) return;
    const { selectionStart, selectionEnd, value } = this.field;
    const line = value.slice(value.lastIndexOf("\n", selectionStart - 1) + 1, selectionStart);
    const indent = /^ */.exec(line)[0];
    if (!indent) return;
    event.preventDefault();
    this.field.setRangeText(`\n${indent}`, selectionStart, selectionEnd, "end");
    this.field.dispatchEvent(new Event("input"));
  }
}

/**
 * The line of block YAML (or of pretty-printed JSON) where a pointer such as `/spec/extract/0/fields/1/selector` leads:
 * as deep as it can be followed, and null if not even its first step can.
 */
export function lineOf(text, pointer) {
  const lines = text.split("\n");
  let [from, indent, found] = [0, -1, null];
  for (const step of pointer.split("/").slice(1)) {
    const next = /^\d+$/.test(step) ? entry(lines, from, indent, Number(step)) : key(lines, from, indent, step.replaceAll("~1", "/").replaceAll("~0", "~"));
    if (!next) return found;
    found = next.line;
    [from, indent] = [next.from, next.indent];
  }
  return found;
}

const depth = (line) => /^ */.exec(line)[0].length;
// Brackets of their own lines are blank too: so is pretty-printed JSON followed, as far as its objects go.
const isBlank = (line) => /^\s*([{}[\],]*|#.*)$/.test(line);

function key(lines, from, indent, name) {
  let level = null;
  for (let line = from; line < lines.length; line += 1) {
    if (isBlank(lines[line])) continue;
    // `- name: x` opens a mapping whose keys stand behind the dash.
    const opened = line === from ? lines[line].replace(/^( *)- /, "$1  ") : lines[line];
    const here = depth(opened);
    if (here <= indent) return null;
    level ??= here;
    if (here < level) return null;
    const word = /^ *["']?([^"':#{}[\],]+)["']?\s*:/.exec(opened)?.[1].trim();
    if (here === level && word === name) return { line, from: line + 1, indent: here };
    // A mapping in braces stands in one line.
    if (here === level && /^ *\{/.test(opened) && opened.includes(`${name}:`)) return { line, from: lines.length, indent: here };
  }
  return null;
}

function entry(lines, from, indent, wanted) {
  let [level, seen] = [null, -1];
  for (let line = from; line < lines.length; line += 1) {
    if (isBlank(lines[line])) continue;
    const here = depth(lines[line]);
    // A list may stand as far left as the key it belongs to.
    const isEntry = /^ *-( |$)/.test(lines[line]);
    if (here < indent || (here === indent && !isEntry)) return null;
    level ??= isEntry ? here : null;
    if (isEntry && here === level && (seen += 1) === wanted) return { line, from: line, indent: here };
  }
  return null;
}
