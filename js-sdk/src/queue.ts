import { bounded, idsOf, isSlight, without, type Spool } from "./spool";
import { jsonOf } from "./text";
import type { Batch, Identity, SentEvent } from "./words";

export interface Answer {
  status: number;
  retryAfter?: string | null;
  /** A digit for each event that was asked for: 1 where the collector has it. */
  stored?: string | null;
}

/** How bodies leave the browser. */
export interface Outlet {
  /** Tells the answer, at the latest when patience is at its end; status 0 where the network is away. */
  post(body: string, answered: (answer: Answer) => void): void;
  /** For a page that ends: the request outlives it. The answer is told where the page hears it. */
  part(body: string, answered: (answer: Answer) => void): void;
  /** What the browser sends by itself should the page die without a word (`fetchLater`); replaces what was said before. */
  bequeath(bodies: readonly string[]): void;
  /** Whether it can do so. */
  readonly outlives: boolean;
  now(): number;
  random(): number;
  /** Runs `task` later; returns what `callOff` takes. */
  later(task: () => void, afterMs: number): unknown;
  callOff(timer: unknown): void;
}

/** A list move should come within a second: events wait only for those of the same moment. */
export const FLUSH_AFTER_MS = 50;
/** What comes in swarms waits a little longer. */
export const FLUSH_SLIGHT_AFTER_MS = 400;
export const MAX_BATCH_EVENTS = 20;
/** In UTF-8 at most 45 KB: below the 64 KiB that all keepalive requests of a page share, and what a site takes. */
export const MAX_BATCH_CHARS = 15_000;
const FIRST_RETRY_MS = 1_000;
const MAX_RETRY_MS = 60_000;
export const BEQUEATH_AFTER_MS = 250;
/** What a former page left may have come: it waits for the first answer, which tells, and no longer than this. */
export const ASK_WITHIN_MS = 3_000;

export type Queue = ReturnType<typeof queueTo>;

/**
 * Events in order, one request at a time, each batch kept until the collector has said 204.
 *
 * Anything but 204 and a refusal (400 to 499) is tried again with back-off, never before `Retry-After`; so are 408, 425
 * and 429. A refusal is dropped: it would be refused again. When the page ends, what waits goes out by the browser and
 * stays in the spool. The next page's first request asks which of these events came, by their ids, and it sends the
 * others again; the server drops what comes twice.
 *
 * `last`: what should be told of the page's end if it dies now.
 */
export function queueTo(site: string, outlet: Outlet, spool: Spool, last: () => Batch | undefined) {
  let batches: Batch[] = [];
  let inFlight: Batch | undefined;
  /** The number of the request that is waited for. */
  let turn = 0;
  /** What the browser took over when the page was put by, and nobody has answered. */
  let doubtful: Batch[] = [];
  /** What former pages left: the collector may have it, and the next request asks. */
  let unsure: Batch[] = [];
  let failures = 0;
  let away = false;
  let timer: unknown;
  let timerAt = 0;
  let spooled = false;
  let bequeathing = false;

  const bodyOf = (batch: Batch, more = {}): string => jsonOf({ schema: 1, site, sent_at_ms: outlet.now(), ...batch, ...more });

  /** What is not delivered yet, and the page's end. */
  const will = (): string[] => {
    const end = last();
    const all = end ? [...batches, end] : batches;
    // NOTE: nobody knows when a deferred body will leave, so its clock says nothing about the skew.
    return all.map((batch) => bodyOf(batch, { deferred: true }));
  };

  const handOver = (): void => {
    bequeathing = false;
    if (last()) outlet.bequeath(will());
  };

  const bequeath = (): void => {
    if (!bequeathing) outlet.later(handOver, BEQUEATH_AFTER_MS);
    bequeathing = true;
  };

  const unschedule = (): void => {
    outlet.callOff(timer);
    timer = undefined;
  };

  const schedule = (afterMs: number, unlessSooner = false): void => {
    const at = outlet.now() + afterMs;
    if (unlessSooner && timer && timerAt <= at) return;
    unschedule();
    timerAt = at;
    timer = outlet.later(() => {
      timer = undefined;
      send();
    }, afterMs);
  };

  const backOff = (retryAfter?: string | null): number => {
    const longest = failures > 6 ? MAX_RETRY_MS : FIRST_RETRY_MS * 2 ** (failures - 1);
    const jittered = (longest * (1 + outlet.random())) / 2;
    const asked = +(retryAfter ?? 0) * 1_000;
    return asked > jittered ? asked : jittered;
  };

  /** What former pages left is sent, but for the events that the collector has. */
  const sendAgain = (stored: readonly string[] = []): void => {
    const missing = unsure.map((batch) => without(batch, ({ event_id: id }) => stored.includes(id)));
    if (stored[0]) spool.exchange(unsure, missing);
    const all = bounded([...missing, ...batches]);
    unsure = [];
    batches = [];
    for (const batch of all) put(batch);
  };

  const send = (): void => {
    if (!batches.length) sendAgain();
    const batch = batches[0];
    if (!batch || inFlight) return;
    inFlight = batch;
    const mine = (turn += 1);
    const asked = Object.keys(idsOf(unsure));
    outlet.post(bodyOf(batch, asked[0] ? { asked } : {}), ({ status, retryAfter, stored }) => {
      const awaited = mine === turn;
      if (awaited) {
        turn += 1;
        inFlight = undefined;
        away = !status;
      }
      if (!isPassing(status)) {
        batches = batches.filter((each) => each !== batch);
        if (spooled) spooled = spool.exchange([batch], []);
      }
      if (!awaited) return;
      if (isPassing(status)) {
        failures += 1;
        // NOTE: a page that fails now may crash before it can say so.
        if (batches.includes(batch)) spool.shelve(batches);
        spooled = true;
        schedule(backOff(retryAfter));
        return;
      }
      failures = 0;
      sendAgain(asked.filter((_, at) => stored?.[at] === "1"));
      if (batches.length) schedule(0);
      // NOTE: at once: of a page that crashes now the browser would say again what has come.
      handOver();
    });
  };

  /** Gives a batch to the browser, as the page ends. Should it live on, it hears what came of it. */
  const part = (batch: Batch): void => {
    doubtful.push(batch);
    outlet.part(bodyOf(batch), ({ status }) => {
      doubtful = doubtful.filter((each) => each !== batch);
      if (!isPassing(status)) spool.exchange([batch], []);
    });
  };

  /** Batches of one person travel as one, where it has room. */
  const put = (batch: Batch): void => {
    const last = batches[batches.length - 1];
    const both = last && last !== inFlight && batch !== inFlight ? joined(last, batch) : undefined;
    if (both) batches.length -= 1;
    batches.push(both ?? batch);
  };

  return {
    take(identity: Identity, event: SentEvent): void {
      put({ ...identity, events: [event] });
      batches = bounded(batches);
      if (!inFlight && !failures) schedule(isSlight(event) ? FLUSH_SLIGHT_AFTER_MS : FLUSH_AFTER_MS, true);
      bequeath();
    },

    /**
     * Takes over what former pages left, and goes on at once: at start, on return, and when the network is back.
     * `anew`: the page was put by and has come back; what was under way then may never be answered.
     */
    takeOver(anew = false): void {
      if (anew) {
        inFlight = undefined;
        turn += 1;
        doubtful = [];
      }
      const known = idsOf([...batches, ...doubtful, ...unsure]);
      const waiting = spool.takeUp();
      unsure.push(...waiting.filter(({ events }) => !events.filter(({ event_id: id }) => known[id]).length));
      spooled ||= !!waiting.length;
      const waits = batches[0] ? FLUSH_AFTER_MS : unsure[0] && ASK_WITHIN_MS;
      if (waits && !inFlight) schedule(waits, true);
      bequeath();
    },

    /** The page may end now. What the browser takes stays in the spool too: nobody may be there to hear whether it came. */
    leave(): void {
      unschedule();
      sendAgain();
      if (batches.length) {
        spooled = true;
        spool.shelve(batches);
      }
      // NOTE: a collector that asks for time gets it. A request in flight is overtaken: the page may never come back.
      const asksForTime = failures && !away;
      const goes = asksForTime ? [] : batches.filter((batch) => batch !== inFlight);
      for (const batch of goes) part(batch);
      if (!failures) batches = batches.filter((batch) => batch === inFlight);
      outlet.bequeath(will());
      if (batches.length && !inFlight) schedule(backOff());
    },

    /** Drops everything, here, in the spool and in the browser's hands. */
    dropAll(): void {
      unschedule();
      unsure = [];
      batches = [];
      // NOTE: nothing waits for a retry any more, so what comes next has to be scheduled by itself.
      failures = 0;
      spool.dropAll();
      outlet.bequeath([]);
    },
  };
}

/** Whether an answer may be another one next time. Only 204 is the collector's yes: a hotel's login page says 200. */
function isPassing(status: number): boolean {
  return status !== 204 && !/^4(?!08|25|29)/.test(`${status}`);
}

/** Two batches as one, if they are of one person and it would not be too large. */
function joined(one: Batch, other: Batch): Batch | undefined {
  const events = [...one.events, ...other.events];
  const isOnes = jsonOf({ ...one, events: 0 }) === jsonOf({ ...other, events: 0 });
  return isOnes && events.length <= MAX_BATCH_EVENTS && jsonOf(events).length < MAX_BATCH_CHARS ? { ...one, events } : undefined;
}
