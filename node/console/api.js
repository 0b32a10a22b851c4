// The gateway as the page sees it: a token for each request, problem bodies as errors, lists by their cursors.

const KEY = "scrapering.token";

/** An answer that is no success, or none at all (status 0). */
export class Problem extends Error {
  constructor(status, body, fallback) {
    super(body?.detail || fallback);
    this.status = status;
    this.title = body?.title;
    this.slug = String(body?.type || "").split("/").pop();
    this.errors = body?.errors || [];
  }
}

/** Who is signed in; the token lives as long as the tab. */
export const session = {
  get token() {
    return sessionStorage.getItem(KEY);
  },
  begin(token) {
    sessionStorage.setItem(KEY, token);
  },
  end(reason = "") {
    if (!this.token) return;
    sessionStorage.removeItem(KEY);
    dispatchEvent(new CustomEvent("signedout", { detail: reason }));
  },
  /** What the token says of itself. The ring checks it; here it only decides what is worth offering. */
  claims() {
    try {
      const text = atob(this.token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
      return JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (letter) => letter.charCodeAt(0))));
    } catch {
      return {};
    }
  },
  may(scope) {
    const scopes = this.claims().scope;
    return scopes === undefined || String(scopes).split(" ").includes(scope);
  },
};

/** Whether the node that served this page answers; changes are told to `window` as `reach`. */
export const reach = { isThere: true };

function reached(isThere) {
  if (reach.isThere === isThere) return;
  reach.isThere = isThere;
  dispatchEvent(new CustomEvent("reach"));
}

/** Asks; the answer, if it is a success. */
export async function ask(path, { method = "GET", headers = {}, body, signal, token = session.token } = {}) {
  let answer;
  try {
    answer = await fetch(path, {
      method, body, signal, cache: "no-store", credentials: "omit", redirect: "error",
      headers: { ...headers, Authorization: `Bearer ${token}` },
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    reached(false);
    throw new Problem(0, null, "This node does not answer. It is asked again; the rest of the ring may be well.");
  }
  reached(true);
  if (answer.ok) return answer;
  const text = await answer.text().catch(() => "");
  let problem = null;
  try {
    problem = JSON.parse(text);
  } catch {
    // What stands between us and the node answers without a problem body.
  }
  if (answer.status === 401 && token === session.token) session.end(problem?.detail || "The ring does not accept the token any more.");
  throw new Problem(answer.status, problem, `The node answered with status ${answer.status}.`);
}

export async function read(path, options) {
  return (await ask(path, options)).json();
}

/** The next piece of a list of a job: entries, the cursor behind them, and whether nothing follows. */
export async function piece(id, list, cursor, limit = 1000, signal) {
  const query = new URLSearchParams({ cursor, limit });
  const answer = await ask(`/v1/jobs/${id}/${list}?${query}`, { signal, headers: { Accept: "application/x-ndjson" } });
  const text = await answer.text();
  return {
    text,
    entries: text.split("\n").filter(Boolean).map((line) => JSON.parse(line)),
    cursor: answer.headers.get("scrapering-cursor") || cursor,
    complete: answer.headers.get("scrapering-complete") === "true",
  };
}

/** A key as it stands in a path: `/` stays, everything unusual is escaped. */
export function keyPath(key) {
  return `/v1/kv/${key.split("/").map(encodeURIComponent).join("/")}`;
}

/**
 * Looks again and again while the page is open and seen. `look` returns how many milliseconds to wait, or null to end.
 * Returns a function that ends it.
 */
export function live(look, { onerror } = {}) {
  const stop = new AbortController();
  let timer = 0;
  let failures = 0;
  async function round() {
    if (document.hidden) return;
    let wait;
    try {
      wait = await look(stop.signal);
      failures = 0;
    } catch (error) {
      if (stop.signal.aborted || error.name === "AbortError") return;
      if (error instanceof Problem) onerror?.(error);
      else throw error;
      if (error.status === 403 || error.status === 404) return;
      failures += 1;
      wait = Math.min(1000 * 2 ** failures, 10000);
    }
    if (wait !== null && !stop.signal.aborted) timer = setTimeout(round, wait);
  }
  function seen() {
    clearTimeout(timer);
    if (!document.hidden) round();
  }
  document.addEventListener("visibilitychange", seen);
  stop.signal.addEventListener("abort", () => {
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", seen);
  });
  round();
  return () => stop.abort();
}
