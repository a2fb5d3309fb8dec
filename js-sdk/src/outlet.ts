import type { Answer, Outlet } from "./queue";
import { globalOf } from "./globals";
import { calm } from "./say";

interface Deferred {
  activated: boolean;
}
type FetchLater = (url: string, init: RequestInit) => Deferred;

/** A request without an answer for so long is given up and tried again. */
const HANG_MS = 20_000;
/** Larger bodies leave the browser's shared 64 KiB of keepalive requests to the page. */
const MAX_KEEPALIVE_CHARS = 15_000;

/**
 * The way to a collector. What it uses of the browser is taken when the script loads: a page that exchanges `fetch`
 * later does not change how its visitors' events travel.
 */
export function outletTo(collector: string): Outlet {
  const url = `${collector}/v1/beacons`;
  const later = globalOf<FetchLater>("fetchLater");
  let bequest: AbortController | undefined;

  // NOTE: a text's own type, text/plain, needs no preflight; keepalive lets the request outlive the page.
  const posted = (body: string, keepalive: boolean, patience?: AbortController): RequestInit => ({
    method: "POST",
    body,
    credentials: "omit",
    referrerPolicy: "origin",
    keepalive,
    signal: patience?.signal ?? null,
  });

  /** Sends, and says what came of it, once; status 0 where nothing did. */
  const sent = async (body: string, keepalive: boolean, answered: (answer: Answer) => void, patience?: AbortController): Promise<void> => {
    try {
      const { status, headers } = await fetch(url, posted(body, keepalive, patience));
      answered({ status, retryAfter: headers.get("retry-after"), stored: headers.get("segma-stored") });
    } catch {
      // NOTE: a keepalive request fails too where the page itself has used the quota up.
      if (keepalive && patience) await sent(body, false, answered, patience);
      else answered({ status: 0 });
    }
  };

  return {
    post(body, answered) {
      // NOTE: `AbortSignal.timeout` would stay in memory for 20 s, long after the answer has come.
      const patience = new AbortController();
      // NOTE: a request that was under way when a page was put by may never be settled, not even by `abort`.
      const timer = setTimeout(() => (patience.abort(), answered({ status: 0 })), HANG_MS);
      void sent(body, body.length <= MAX_KEEPALIVE_CHARS, (answer) => (clearTimeout(timer), answered(answer)), patience);
    },
    part(body, answered) {
      // NOTE: under `Referrer-Policy: no-referrer` a beacon has the origin `null` outside Chromium, and people switch beacons off.
      void sent(body, true, answered);
    },
    bequeath(bodies) {
      bequest?.abort();
      if (!later || !bodies.length) return;
      bequest = new AbortController();
      try {
        for (const body of bodies) later(url, posted(body, true, bequest));
      } catch {
        // NOTE: the quota is used up: what was taken is taken.
      }
    },
    outlives: !!later,
    now: Date.now,
    random: Math.random,
    later: (task, afterMs) => setTimeout(calm(task), afterMs),
    callOff: (timer) => clearTimeout(timer as number),
  };
}
