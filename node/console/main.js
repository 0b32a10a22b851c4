// The frame of the console: who is signed in, where one is, and the page that is shown there.

import { reach, session } from "./api.js";
import { announce, fill, h, s, say } from "./dom.js";
import { span } from "./format.js";
import { hostPage } from "./host.js";
import { hostsPage } from "./hosts.js";
import { jobPage } from "./job.js";
import { jobsPage } from "./jobs.js";
import { keysPage } from "./keys.js";
import { nodesPage } from "./nodes.js";
import { ringPage } from "./ring.js";
import { schedulesPage } from "./schedules.js";
import { signInPage } from "./signin.js";
import { newSchedulePage, submitPage } from "./submit.js";

const ROUTES = [
  [/^\/?$/, ringPage, "ring", "Ring"],
  [/^\/jobs$/, jobsPage, "jobs", "Jobs"],
  [/^\/jobs\/new$/, submitPage, "jobs", "New job"],
  [/^\/jobs\/([0-9a-f-]{36})$/, jobPage, "jobs", "Job"],
  [/^\/schedules$/, schedulesPage, "schedules", "Schedules"],
  [/^\/schedules\/new$/, newSchedulePage, "schedules", "New schedule"],
  [/^\/hosts$/, hostsPage, "hosts", "Hosts"],
  [/^\/hosts\/([^/]+)$/, hostPage, "hosts", "Host"],
  [/^\/keys$/, keysPage, "keys", "Keys"],
  [/^\/nodes$/, nodesPage, "nodes", "Nodes"],
];

const ICONS = {
  ring: ["M12 3.500a8.500 8.500 0 1 0 0 17 8.500 8.500 0 0 0 0-17Z", "M12 1.500v4M12 18.500v4M1.500 12h4M18.500 12h4"],
  jobs: ["M4 6.500h16M4 12h16M4 17.500h9"],
  schedules: ["M12 3.500a8.500 8.500 0 1 0 0 17 8.500 8.500 0 0 0 0-17Z", "M12 7.500v5l3.200 2"],
  hosts: ["M12 3.500a8.500 8.500 0 1 0 0 17 8.500 8.500 0 0 0 0-17Z", "M3.500 12h17M12 3.500c-5 5.200-5 11.800 0 17M12 3.500c5 5.200 5 11.800 0 17"],
  keys: ["M14.500 9.500a5 5 0 1 1-3.700-4.800", "M11 9l8.500 8.500M16.500 14.500l2.500-2.500"],
  nodes: ["M4 4.500h16v6H4zM4 13.500h16v6H4z", "M7.500 7.500h.010M7.500 16.500h.010"],
};

const app = document.getElementById("app");
let leave = null;
let content = null;

function icon(name) {
  return s("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" }, ICONS[name].map((d) => s("path", { d })));
}

function mark() {
  return s("svg", { viewBox: "0 0 32 32", class: "mark", "aria-hidden": "true" },
    s("path", { d: "M18.600 5.800a10.500 10.500 0 0 1 7.600 8.100" }), s("path", { d: "M25.900 19.600a10.500 10.500 0 0 1-8.700 6.800" }),
    s("path", { d: "M11.600 25.500a10.500 10.500 0 0 1-5.900-10.600" }), s("path", { d: "M7 10.500a10.500 10.500 0 0 1 6.300-4.600" }),
    s("circle", { cx: 16, cy: 16, r: 3.4 }));
}

function navigation() {
  const entries = [["ring", "#/", "Ring"], ["jobs", "#/jobs", "Jobs"], ["schedules", "#/schedules", "Schedules"], ["hosts", "#/hosts", "Hosts"], ["keys", "#/keys", "Keys"], ["nodes", "#/nodes", "Nodes"]];
  return h("nav", { "aria-label": "Pages", class: "pages" },
    entries.map(([name, href, words]) => h("a", { href, "data-page": name }, icon(name), h("span", {}, words))));
}

function themeChoice() {
  const themes = ["light dark", "light", "dark"];
  const names = { "light dark": "system", light: "light", dark: "dark" };
  const button = h("button", { type: "button", class: "plain", onclick: turn });
  function show() {
    const theme = localStorage.getItem("scrapering.theme") || themes[0];
    document.documentElement.style.colorScheme = theme;
    say(button, `Colours: ${names[theme] || theme}`);
  }
  function turn() {
    const theme = localStorage.getItem("scrapering.theme") || themes[0];
    localStorage.setItem("scrapering.theme", themes[(themes.indexOf(theme) + 1) % themes.length]);
    show();
  }
  show();
  return button;
}

function whoAmI() {
  const { sub, exp } = session.claims();
  const left = exp ? `, for ${span(exp * 1000 - Date.now())} more` : "";
  return h("div", { class: "who" },
    h("p", {}, h("span", { class: "faint" }, "Signed in as "), h("b", {}, sub || "somebody"), h("span", { class: "faint" }, left)),
    themeChoice(),
    h("button", { type: "button", class: "plain", onclick: () => session.end() }, "Sign out"));
}

function frame() {
  const lost = h("p", { class: "lost", role: "status" });
  const showReach = () => {
    lost.classList.toggle("shown", !reach.isThere);
    say(lost, reach.isThere ? "" : `${location.host} does not answer. It is asked again until it does; other nodes have this console too.`);
  };
  addEventListener("reach", showReach);
  content = h("main", { id: "content", tabindex: "-1" });
  const side = h("header", { class: "side" },
    h("a", { href: "#/", class: "brand" }, mark(), h("span", {}, "ScrapeRing")), navigation(), whoAmI());
  fill(app, h("div", { class: "frame" }, side, h("div", { class: "stage" }, lost, content)));
  showReach();
}

function show() {
  leave?.();
  leave = null;
  const path = location.hash.replace(/^#/, "") || "/";
  const [where] = path.split("?");
  if (!session.token) {
    document.title = "Sign in – ScrapeRing";
    content = null;
    fill(app, signInPage(mark(), themeChoice()));
    return;
  }
  const isFirst = !content;
  if (isFirst) frame();
  for (const [pattern, page, name, title] of ROUTES) {
    const found = pattern.exec(where);
    if (!found) continue;
    document.title = `${title} – ScrapeRing`;
    for (const link of app.querySelectorAll("nav [data-page]")) {
      if (link.dataset.page === name) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    fill(content);
    leave = page(content, ...found.slice(1)) || null;
    if (!isFirst) {
      content.focus({ preventScroll: true });
      scrollTo(0, 0);
    }
    return;
  }
  location.hash = "#/";
}

document.querySelector(".skip").addEventListener("click", (event) => {
  // Fragments name pages here.
  event.preventDefault();
  document.getElementById("content")?.focus();
});
addEventListener("hashchange", show);
addEventListener("signedin", show);
addEventListener("signedout", (event) => {
  content = null;
  show();
  if (event.detail) announce(event.detail);
});
show();
