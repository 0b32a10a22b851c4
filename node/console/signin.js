// Signing in: a token in, checked by asking the ring, kept for this tab only.

import { ask, session } from "./api.js";
import { h, say } from "./dom.js";

/** The page before all others. */
export function signInPage(mark, theme) {
  const words = h("p", { class: "wrong", id: "wrong", role: "alert" });
  const field = h("textarea", {
    id: "token", rows: 4, required: true, spellcheck: "false", autocomplete: "off", autocapitalize: "off",
    "aria-describedby": "hint wrong", class: "secret", placeholder: "eyJ0eXAiOiJhdCtqd3Qi…", onkeydown: send,
  });
  const button = h("button", { type: "submit", class: "button primary wide" }, "Sign in");
  const form = h("form", { class: "card signin", onsubmit: enter },
    h("div", { class: "signin-head" }, mark, h("h1", {}, "ScrapeRing")),
    h("p", { class: "lead" }, "Paste a token of this ring. It stays in this tab and goes nowhere but to ", h("b", {}, location.host), "."),
    h("label", { for: "token" }, "Token"), field, words, button,
    h("p", { class: "hint", id: "hint" }, "On the machine of a local ring, ", h("code", {}, "scrapering up"),
      " says which file holds one. Otherwise: ", h("code", {}, "scrapering token create --scope \"jobs:read results:read\""), "."));

  function send(event) {
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      form.requestSubmit();
    }
  }

  async function enter(event) {
    event.preventDefault();
    const token = field.value.trim();
    const isToken = /^[\w-]+\.[\w-]+\.[\w-]*$/.test(token);
    field.setAttribute("aria-invalid", String(!isToken));
    if (!isToken) {
      say(words, "This is no token: a token has three parts with dots between them and no spaces.");
      return field.focus();
    }
    button.disabled = true;
    say(words, "");
    try {
      await ask("/v1/jobs", { token }).catch((problem) => {
        // A token that may not see jobs is still a good one.
        if (problem.status !== 403) throw problem;
      });
      session.begin(token);
      dispatchEvent(new CustomEvent("signedin"));
    } catch (problem) {
      say(words, problem.message);
      field.setAttribute("aria-invalid", "true");
      field.focus();
    } finally {
      button.disabled = false;
    }
  }

  queueMicrotask(() => field.focus());
  return h("main", { id: "content", class: "entrance" }, form, theme);
}
