// The key-value store: find keys by how they begin, look at what they hold, change it without treading on anybody's toes.

import { ask, keyPath, live, Problem, read, session } from "./api.js";
import { announce, confirmed, download, empty, fill, h, say, trouble } from "./dom.js";
import { bytes, plural } from "./format.js";

const LOOK_MS = 3000;
const LIMIT = 200;
/** Largest text that is shown in a field. */
const MOST_SHOWN = 64 * 1024;

export function keysPage(place) {
  const failure = h("div");
  const prefix = h("input", { id: "prefix", type: "search", class: "filter", autocomplete: "off", spellcheck: "false", placeholder: "settings/", oninput: changed });
  const words = h("p", { class: "table-words", role: "status" });
  const list = h("ul", { class: "keys", "aria-label": "Keys" });
  const panel = h("section", { class: "key-panel", "aria-label": "One key" });
  const mayWrite = session.may("kv:write");
  let items = [];
  let drawn = "";
  let chosen = null;
  let stop = () => {};
  fill(place, h("div", { class: "head" }, h("h1", {}, "Keys"),
    h("div", { class: "tools" }, mayWrite ? h("button", { type: "button", class: "button primary", onclick: () => edit(null) }, "New key") : null)), failure,
  h("div", { class: "keys-page" }, h("div", {}, h("label", { for: "prefix" }, "Keys that begin with"), prefix, words, list), panel));

  function changed() {
    stop();
    drawn = "";
    stop = live(look, { onerror: (problem) => problem.status !== 0 && fill(failure, trouble(problem)) });
  }

  async function look(signal) {
    const query = new URLSearchParams({ prefix: prefix.value, limit: LIMIT });
    const listing = await read(`/v1/kv?${query}`, { signal });
    fill(failure);
    items = listing.items;
    const state = JSON.stringify([items, listing.next, prefix.value]);
    if (state !== drawn) {
      drawn = state;
      show(Boolean(listing.next));
    }
    return LOOK_MS;
  }

  function show(hasMore) {
    say(words, hasMore ? `The first ${LIMIT}; write more of the key to see others.` : items.length ? plural(items.length, "key") : "");
    if (items.length === 0) {
      const none = prefix.value ? empty("No such key", `No key begins with “${prefix.value}”.`)
        : empty("Nothing is kept yet", "Programs keep small values here: settings, counters, locks, messages. Each has copies on several nodes.",
          h("p", { class: "hint" }, h("code", {}, "scrapering kv put greeting hello")));
      return fill(list, h("li", {}, none));
    }
    fill(list, items.map((item) => h("li", {}, h("button", { type: "button", class: "key-row", "data-key": item.key, "aria-current": item.key === chosen ? "true" : null, onclick: () => open(item.key) },
      h("span", { class: "key-name" }, item.key), h("span", { class: "faint" }, `version ${item.version} · ${bytes(item.bytes)}${item.contentType ? ` · ${item.contentType}` : ""}`)))));
  }

  async function open(key) {
    chosen = key;
    for (const row of list.querySelectorAll(".key-row")) {
      if (row.dataset.key === key) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
    }
    try {
      const answer = await ask(keyPath(key));
      const held = {
        key, version: answer.headers.get("etag"), type: answer.headers.get("content-type"), content: new Uint8Array(await answer.arrayBuffer()),
      };
      if (chosen === key) edit(held);
      // On a narrow screen the value stands below all keys.
      panel.scrollIntoView({ block: "nearest", behavior: "smooth" });
    } catch (problem) {
      fill(panel, trouble(problem, problem.status === 404 ? null : () => open(key)));
    }
  }

  /** `held` is what was read; null begins a new key. */
  function edit(held) {
    const text = held ? textOf(held.content) : "";
    const name = h("input", { id: "key-name", type: "text", required: true, readonly: Boolean(held), ".value": held?.key || prefix.value, autocomplete: "off", spellcheck: "false" });
    const type = h("input", { id: "key-type", type: "text", ".value": held && held.type !== "application/octet-stream" ? held.type : held ? "" : "text/plain", autocomplete: "off", spellcheck: "false", readonly: !mayWrite });
    const content = text === null ? null : h("textarea", { id: "key-content", rows: Math.min(16, Math.max(5, text.split("\n").length + 1)), spellcheck: "false", class: "mono", ".value": text, readonly: !mayWrite });
    const wrong = h("div");
    const take = () => download(held.key.split("/").pop() || "value", [held.content], held.type);
    if (!held) chosen = null;
    fill(panel, h("form", { class: "card", onsubmit: save },
      h("h2", {}, held ? held.key : "New key"),
      held ? h("p", { class: "faint" }, `Version ${held.version.replaceAll("\"", "")}, ${bytes(held.content.length)}`) : null,
      held ? null : [h("label", { for: "key-name" }, "Key"), name],
      h("label", { for: "key-type" }, "Media type"), type,
      content ? [h("label", { for: "key-content" }, "Content"), content] : h("p", { class: "hint" }, "This value is no text, or too long to show; download it to look at it."),
      wrong,
      h("div", { class: "actions" }, mayWrite && content ? h("button", { type: "submit", class: "button primary" }, held ? "Save" : "Create") : null,
        held ? h("button", { type: "button", class: "button", onclick: take }, "Download") : null,
        held && mayWrite ? h("button", { type: "button", class: "button danger-quiet", onclick: remove }, "Delete…") : null)));
    if (!held) name.focus();

    async function save(event) {
      event.preventDefault();
      // Only over what was read: a change by somebody else in between is told, not lost.
      const condition = held ? { "If-Match": held.version } : { "If-None-Match": "*" };
      const headers = type.value.trim() ? { ...condition, "Content-Type": type.value.trim() } : condition;
      try {
        await ask(keyPath(name.value), { method: "PUT", body: new TextEncoder().encode(content.value), headers });
        announce(`${name.value} is kept.`);
        changed();
        await open(name.value);
      } catch (problem) {
        refuse(problem);
      }
    }

    async function remove() {
      if (!await confirmed(`Delete ${held.key}?`, "What it holds is gone from every node.", "Delete the key")) return;
      try {
        await ask(keyPath(held.key), { method: "DELETE", headers: { "If-Match": held.version } });
        announce(`${held.key} is deleted.`);
        chosen = null;
        fill(panel);
        changed();
      } catch (problem) {
        refuse(problem);
      }
    }

    function refuse(problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (problem.slug === "precondition-failed" && held) {
        problem.message = "Somebody else has changed it since it was read. Open it again to see what it holds now; nothing was changed.";
      }
      fill(wrong, trouble(problem, problem.slug === "precondition-failed" && held ? () => open(held.key) : null));
    }
  }

  changed();
  return () => stop();
}

/** The content as text, or null if it is none or too long. */
function textOf(content) {
  if (content.length > MOST_SHOWN) return null;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(content);
  } catch {
    return null;
  }
}
