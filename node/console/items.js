// Lists of a job as tables that can be searched and taken away: items, and pages that were not fetched.

import { piece } from "./api.js";
import { announce, download, fill, h, say, trouble } from "./dom.js";
import { showEntry } from "./entry.js";
import { count, plural, when } from "./format.js";

/** Entries that are kept for looking at; a download has all. */
const MOST_KEPT = 20000;
const FIRST_SHOWN = 100;

/** Reads a list from its beginning, a piece at a time, for as long as somebody looks. */
export class List {
  entries = [];
  cursor = "";
  complete = false;

  constructor(id, name) {
    this.id = id;
    this.name = name;
  }

  get isFull() {
    return this.entries.length >= MOST_KEPT;
  }

  /** Reads what is new; how many entries came. */
  async more(signal) {
    if (this.complete || this.isFull) return 0;
    const next = await piece(this.id, this.name, this.cursor, 1000, signal);
    this.entries.push(...next.entries);
    this.cursor = next.cursor;
    this.complete = next.complete;
    return next.entries.length;
  }
}

const asText = (value) => (value === null || value === undefined ? "" : typeof value === "object" ? JSON.stringify(value) : String(value));

/** RFC 3339, as the ring writes moments. */
const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

/**
 * A table of what a list holds, with a field to search in it and every entry in full on demand. With `columns` it has
 * these and no others; `cell` shows some of them in its own way
 * (`figures` are to be aligned as such), `actions` are buttons that an entry in full has.
 */
export function listTable(list, { label, none, columns = [], heads = {}, figures = [], hidden = [], cell, actions }) {
  const head = h("tr");
  const body = h("tbody");
  const words = h("p", { class: "table-words", role: "status" });
  const search = h("input", { type: "search", class: "filter", "aria-label": `Search in ${label.toLowerCase()}`, placeholder: "Search", oninput: again });
  const more = h("button", { type: "button", class: "button", onclick: () => { shown += 400; show(); } }, "Show more");
  const names = [...columns];
  const known = new Set(names);
  let looked = 0;
  let shown = FIRST_SHOWN;
  let drawn = 0;
  const scroll = h("div", { class: "table-scroll middle", tabindex: 0, role: "region", "aria-label": label }, h("table", {}, h("thead", {}, head), body));

  function again() {
    shown = FIRST_SHOWN;
    drawn = 0;
    fill(body);
    show();
  }

  function learnColumns() {
    const before = names.length;
    for (; looked < list.entries.length && !columns.length; looked += 1) {
      for (const name of Object.keys(list.entries[looked])) if (!hidden.includes(name) && !known.has(name) && known.add(name)) names.push(name);
    }
    if (names.length !== before || !head.hasChildNodes()) {
      // What the page said comes before what is known about the page.
      if (!columns.length) names.sort((a, b) => a.startsWith("_") - b.startsWith("_"));
      fill(head, h("td", { class: "opener" }), names.map((name) => h("th", { scope: "col", class: isNumber(name) ? "number" : null }, heads[name] || name)));
      drawn = 0;
      fill(body);
    }
  }

  const isNumber = (name) => figures.includes(name) || typeof list.entries.find((entry) => name in entry)?.[name] === "number";

  function row(entry) {
    const open = () => showEntry(none.one, entry, actions?.(entry));
    return h("tr", {}, h("td", { class: "opener" }, h("button", { type: "button", class: "open-entry", onclick: open, "aria-label": `Show this ${none.one} in full`, title: "In full" }, "⋯")),
      names.map((name) => {
        const special = cell?.(name, entry[name], entry);
        if (special) return h("td", { class: figures.includes(name) ? "number" : "short" }, special);
        const text = asText(entry[name]);
        if (MOMENT.test(text)) return h("td", { class: "short" }, when(text));
        const kind = typeof entry[name] === "number" ? "number" : text.length > 60 ? "long" : text.length < 28 ? "short" : null;
        return h("td", { class: kind }, link(text) || (kind === "long" ? h("span", { class: "clamp" }, text.slice(0, 240)) : text));
      }));
  }

  function show() {
    learnColumns();
    const wanted = search.value.trim().toLowerCase();
    const fits = wanted ? list.entries.filter((entry) => JSON.stringify(entry).toLowerCase().includes(wanted)) : list.entries;
    body.append(...fits.slice(drawn, shown).map(row));
    drawn = Math.max(drawn, Math.min(shown, fits.length));
    more.hidden = fits.length <= shown;
    scroll.hidden = fits.length === 0;
    const total = `${plural(list.entries.length, none.one)}${list.isFull ? " (the first; a download has all)" : ""}`;
    say(words, fits.length === 0 ? (wanted ? `Nothing contains “${search.value.trim()}”.` : none.words)
      : wanted ? `${count(fits.length)} of ${total}` : total);
  }

  return { element: h("div", { class: "list" }, h("div", { class: "list-head" }, search, words), scroll, h("div", { class: "actions" }, more)), show };
}

function link(text) {
  if (!/^https?:\/\/\S+$/.test(text)) return null;
  return h("a", { href: text, target: "_blank", rel: "noreferrer noopener", class: "outward" }, text);
}

/** Buttons that hand the whole list to the person, read afresh from its beginning. */
export function downloads(job, list, what) {
  const words = h("span", { class: "faint", role: "status" });
  const place = h("div");
  let running = null;
  const button = (format, title) => h("button", { type: "button", class: "button small", onclick: () => start(format) }, title);
  const buttons = [button("ndjson", `Download ${what} as NDJSON`), button("csv", "as CSV")];
  const stop = h("button", { type: "button", class: "button small", hidden: true, onclick: () => running?.abort() }, "Stop");

  async function start(format) {
    running = new AbortController();
    for (const one of buttons) one.disabled = true;
    stop.hidden = false;
    fill(place);
    try {
      const parts = await whole(job, list, format, running.signal, (total) => say(words, `${count(total)} read`));
      const type = format === "csv" ? "text/csv;charset=utf-8" : "application/x-ndjson";
      download(`${job.metadata.name}-${list}.${format === "csv" ? "csv" : "jsonl"}`, parts, type);
      announce("The file is ready.");
    } catch (error) {
      if (error.name !== "AbortError") fill(place, trouble(error));
    } finally {
      for (const one of buttons) one.disabled = false;
      stop.hidden = true;
      say(words, "");
    }
  }
  return h("div", { class: "downloads" }, buttons, stop, words, place);
}

async function whole(job, list, format, signal, told) {
  const columns = columnsOf(job, list);
  const parts = format === "csv" ? [csvLine(columns)] : [];
  let cursor = "";
  for (let total = 0; ;) {
    const next = await piece(job.metadata.uid, list, cursor, 1000, signal);
    parts.push(format === "csv" ? next.entries.map((entry) => csvLine(columns.map((name) => asText(entry[name])))).join("") : next.text);
    total += next.entries.length;
    told(total);
    if (next.complete || next.entries.length === 0) return parts;
    cursor = next.cursor;
  }
}

/** The columns of a table of this list, known before anything of it was read. */
function columnsOf(job, list) {
  if (list === "pages") return ["url", "status", "fetchedAt", "bytes", "items", "itemErrors", "depth", "attempts"];
  if (list === "errors") return ["url", "item", "field", "reason", "found"];
  if (list !== "items") return ["url", "reason", "detail"];
  const fields = (job.spec.extract || []).flatMap((extract) => extract.fields.map((field) => field.name));
  return [...new Set(["_type", ...fields, "_url", "_fetchedAt", "_status", "_depth"])];
}

/** RFC 4180, and no cell that a spreadsheet would take for a formula. */
export function csvLine(cells) {
  const written = cells.map((cell) => {
    const text = /^[=+\-@\t\r]/.test(cell) && Number.isNaN(Number(cell)) ? `'${cell}` : String(cell);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll("\"", "\"\"")}"` : text;
  });
  return `${written.join(",")}\r\n`;
}
