import type { Outlet } from "./queue";

interface Deferred {
  activated: boolean;
}
type FetchLater = (url: string, init: RequestInit) => Deferred;

/** A request without an answer for so long is given up and tried again. */
const HANG_MS = 20_000;
/** Larger bodies leave the browser's shared 64 KiB of keepalive requests to the page. */
const MAX_KEEPALIVE_CHARS = 15_000;

/**
 * The way to a collector. What it uses of the browser is taken when the script loads: a page that exchanges `fetch` or
 * `sendBeacon` later does not change how its visitors' events travel.
 */
export function outletTo(collector: string): Outlet {
  const url = `${collector}/v1/beacons`;
  const send = fetch.bind(window);
  const beacon = navigator.sendBeacon?.bind(navigator);
  const later = (window as Window & { fetchLater?: FetchLater }).fetchLater?.bind(window);
  let bequest: AbortController | undefined;

  // NOTE: text/plain needs no preflight; keepalive lets the request outlive the page.
  const posted = (body: string, { signal }: AbortController, keepalive: boolean): RequestInit => ({
    method: "POST",
    body,
    headers: { "content-type": "text/plain" },
    credentials: "omit",
    referrerPolicy: "origin",
    signal,
    keepalive,
  });

  return {
    async post(body) {
      // NOTE: `AbortSignal.timeout` would stay in memory for 20 s, long after the answer has come.
      const patience = new AbortController();
      const timer = setTimeout(() => patience.abort(), HANG_MS);
      try {
        const keepalive = body.length <= MAX_KEEPALIVE_CHARS;
        // NOTE: a keepalive request fails too where the page itself has used the quota up.
        const { status, headers } = await send(url, posted(body, patience, keepalive)).catch(() => send(url, posted(body, patience, false)));
        return { status, retryAfter: headers.get("retry-after") };
      } finally {
        clearTimeout(timer);
      }
    },
    beacon: (body) => beacon?.(url, body),
    bequeath(bodies) {
      bequest?.abort();
      if (!later || !bodies.length) return;
      bequest = new AbortController();
      try {
        for (const body of bodies) later(url, posted(body, bequest, true));
      } catch {
        // NOTE: the quota is used up: what was taken is taken.
      }
    },
    now: Date.now,
    random: Math.random,
    later: setTimeout.bind(window),
    callOff: clearTimeout.bind(window) as (timer: unknown) => void,
  };
}
