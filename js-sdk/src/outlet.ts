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
  const posted = (body: string): RequestInit => ({
    method: "POST",
    body,
    headers: { "content-type": "text/plain" },
    credentials: "omit",
    referrerPolicy: "origin",
  });
  const request = (body: string, keepalive: boolean): Promise<Response> =>
    send(url, { ...posted(body), keepalive, signal: AbortSignal.timeout?.(HANG_MS) ?? null });

  return {
    async post(body) {
      const keepalive = body.length <= MAX_KEEPALIVE_CHARS;
      // NOTE: a keepalive request fails too where the page itself has used the quota up.
      const answer = await request(body, keepalive).catch((error) => (keepalive ? request(body, false) : Promise.reject(error)));
      return { status: answer.status, retryAfter: answer.headers.get("retry-after") };
    },
    beacon: (body) => !!beacon?.(url, body),
    bequeath(bodies) {
      bequest?.abort();
      bequest = undefined;
      if (!later || !bodies.length) return;
      bequest = new AbortController();
      try {
        for (const body of bodies) later(url, { ...posted(body), signal: bequest.signal });
      } catch {
        // NOTE: the quota is used up: what was taken is taken.
      }
    },
    now: Date.now,
    random: Math.random,
    later: (task, afterMs) => setTimeout(task, afterMs),
    cancel: (timer) => clearTimeout(timer as number),
  };
}
