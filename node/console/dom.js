// Elements in one line each, and a voice for those who do not see the page. Text is always text: nothing becomes markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element: attributes, `on…` listeners, properties that begin with `.`, then children (strings, elements, lists, null). */
export function h(name, attributes = {}, ...children) {
  return built(document.createElement(name), attributes, children);
}

/** The same for SVG. */
export function s(name, attributes = {}, ...children) {
  return built(document.createElementNS(SVG, name), attributes, children);
}

function built(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.startsWith(".")) element[name.slice(1)] = value;
    else if (name.startsWith("--")) element.style.setProperty(name, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...flat(children));
  return element;
}

function flat(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

/** Puts these children in place of whatever is there. */
export function fill(element, ...children) {
  element.replaceChildren(...flat(children));
  return element;
}

/** Changes a text only if it is another one, so that selections and screen readers are left alone. */
export function say(element, text) {
  const words = String(text);
  if (element.textContent !== words) element.textContent = words;
}

/** Says a sentence to screen readers and shows it for some seconds. */
export function announce(sentence) {
  const place = document.getElementById("said");
  place.textContent = sentence;
  place.classList.add("shown");
  clearTimeout(announce.timer);
  announce.timer = setTimeout(() => place.classList.remove("shown"), 5000);
}

/** Asks before something that cannot be undone; true if it was confirmed. */
export function confirmed(title, sentence, action) {
  return new Promise((resolve) => {
    const dialog = h("dialog", { "aria-labelledby": "question", class: "dialog", onclose: done },
      h("h2", { id: "question" }, title),
      h("p", {}, sentence),
      h("div", { class: "actions" },
        h("button", { type: "button", class: "button", onclick: () => dialog.close("no") }, "Cancel"),
        h("button", { type: "button", class: "button danger", onclick: () => dialog.close("yes") }, action)));
    function done() {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    }
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Hands bytes to the person as a file. */
export function download(name, parts, type) {
  const url = URL.createObjectURL(new Blob(parts, { type }));
  const link = h("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}

/** What is shown where there is nothing yet: what would be here and how it comes. */
export function empty(title, sentence, ...more) {
  return h("div", { class: "empty" },
    s("svg", { viewBox: "0 0 64 64", "aria-hidden": "true", class: "empty-mark" },
      s("circle", { cx: 32, cy: 32, r: 24 }), s("circle", { cx: 32, cy: 8, r: 3.5, class: "dot" })),
    h("h2", {}, title), h("p", {}, sentence), more);
}

/** What went wrong, in the ring's words. */
export function trouble(problem, retry) {
  return h("div", { class: "trouble", role: "alert" },
    h("strong", {}, problem.title || "It did not work"),
    h("p", {}, problem.message),
    retry ? h("button", { type: "button", class: "button small", onclick: retry }, "Try again") : null);
}
