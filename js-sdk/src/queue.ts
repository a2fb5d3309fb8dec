import { bounded, isSlight, type Spool } from "./spool";
import type { Batch, Identity, SentEvent } from "./words";

export interface Answer {
  status: number;
  retryAfter: string | null;
}

/** How bodies leave the browser. */
export interface Outlet {
  /** Resolves with the answer; rejects where the network is away. */
  post(body: string): Promise<Answer>;
  /** For a page that ends: true where the browser took it over. */
  beacon(body: string): boolean;
  /** What the browser sends by itself should the page die without a word (`fetchLater`); replaces what was said before. */
  bequeath(bodies: readonly string[]): void;
  now(): number;
  random(): number;
  /** Runs `task` later; returns what `cancel` takes. */
  later(task: () => void, afterMs: number): unknown;
  cancel(timer: unknown): void;
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

/**
 * Events in order, one request at a time, each batch kept until the collector has said 204.
 *
 * Anything but 204 and a refusal (400 to 499) is tried again with back-off, never before `Retry-After`; so are 408, 425
 * and 429. A refusal is dropped: it would be refused again. When the page ends, what waits goes out as a beacon and
 * stays in the spool: the next page sends it again under the same event ids, and the server drops what came twice.
 */
export class Queue {
  private batches: Batch[] = [];
  private inFlight: Batch | undefined;
  private failures = 0;
  private away = false;
  private timer: unknown;
  private timerAt = 0;
  private chars = 0;
  private spooled = false;
  private bequeathing = false;

  constructor(
    private readonly site: string,
    private readonly outlet: Outlet,
    private readonly spool: Spool,
    /** What should be told of the page's end if it dies now. */
    private readonly last: () => [Identity, SentEvent] | undefined = () => undefined,
  ) {}

  add(identity: Identity, event: SentEvent): void {
    const chars = JSON.stringify(event).length;
    const batch = this.batches[this.batches.length - 1];
    if (batch && batch !== this.inFlight && this.chars + chars < MAX_BATCH_CHARS && hasRoom(batch, identity)) {
      batch.events.push(event);
      this.chars += chars;
    } else {
      this.batches.push({ ...identity, events: [event] });
      this.chars = chars;
    }
    this.batches = bounded(this.batches);
    if (!this.inFlight && !this.failures) this.schedule(isSlight(event) ? FLUSH_SLIGHT_AFTER_MS : FLUSH_AFTER_MS, true);
    this.bequeath();
  }

  /** Takes over what former pages left, and goes on at once: at start, on return, and when the network is back. */
  resume(): void {
    const known = new Set(this.batches.flatMap((batch) => batch.events.map((event) => event.event_id)));
    const waiting = this.spool.take();
    const left = waiting.filter((batch) => !batch.events.some((event) => known.has(event.event_id)));
    this.spooled ||= waiting.length > 0;
    this.batches = bounded(merged([...left, ...this.batches], this.inFlight));
    this.chars = MAX_BATCH_CHARS;
    if (this.batches.length && !this.inFlight) this.schedule(this.failures ? 0 : FLUSH_AFTER_MS);
    this.bequeath();
  }

  /** The page may end now. What a beacon takes stays in the spool too: nobody tells whether it came. */
  leave(): void {
    this.unschedule();
    if (this.batches.length) {
      this.spooled = true;
      this.spool.put(this.batches);
    }
    // NOTE: a collector that asks for time gets it. A request in flight is overtaken: the page may never come back.
    const asksForTime = this.failures && !this.away;
    const left = this.batches.filter((batch) => batch === this.inFlight || asksForTime || !this.outlet.beacon(this.body(batch)));
    if (!this.failures) this.batches = left;
    this.outlet.bequeath(this.will());
    if (this.batches.length && !this.inFlight) this.schedule(this.backOff(null));
  }

  /** Drops everything, here, in the spool and in the browser's hands. */
  clear(): void {
    this.unschedule();
    this.batches = [];
    this.spool.clear();
    this.outlet.bequeath([]);
  }

  private body(batch: Batch, deferred = false): string {
    const sent = { schema: 1, site: this.site, sent_at_ms: this.outlet.now(), ...batch };
    // NOTE: nobody knows when a deferred body will leave, so its clock says nothing about the skew.
    return JSON.stringify(deferred ? { ...sent, deferred } : sent);
  }

  private bequeath(): void {
    if (this.bequeathing) return;
    this.bequeathing = true;
    this.outlet.later(() => {
      this.bequeathing = false;
      if (this.last()) this.outlet.bequeath(this.will());
    }, BEQUEATH_AFTER_MS);
  }

  /** What is not delivered yet, and the page's end. */
  private will(): string[] {
    const last = this.last();
    const batches = last ? [...this.batches, { ...last[0], events: [last[1]] }] : this.batches;
    return batches.map((batch) => this.body(batch, true));
  }

  private schedule(afterMs: number, unlessSooner = false): void {
    const at = this.outlet.now() + afterMs;
    if (unlessSooner && this.timer !== undefined && this.timerAt <= at) return;
    this.unschedule();
    this.timerAt = at;
    this.timer = this.outlet.later(() => {
      this.timer = undefined;
      void this.send();
    }, afterMs);
  }

  private unschedule(): void {
    if (this.timer !== undefined) this.outlet.cancel(this.timer);
    this.timer = undefined;
  }

  private async send(): Promise<void> {
    const batch = this.batches[0];
    if (!batch || this.inFlight) return;
    this.inFlight = batch;
    let answer: Answer;
    try {
      answer = await this.outlet.post(this.body(batch));
    } catch {
      answer = { status: 0, retryAfter: null };
    }
    this.inFlight = undefined;
    this.away = !answer.status;
    if (isPassing(answer.status)) {
      this.failures += 1;
      // NOTE: a page that fails now may crash before it can say so.
      if (this.batches.includes(batch)) this.spool.put(this.batches);
      this.spooled = true;
      this.schedule(this.backOff(answer.retryAfter));
      return;
    }
    this.failures = 0;
    this.batches = this.batches.filter((each) => each !== batch);
    if (this.spooled) this.spool.drop(batch);
    if (this.batches.length) this.schedule(0);
    this.bequeath();
  }

  private backOff(retryAfter: string | null): number {
    const longest = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.max(0, this.failures - 1));
    const asked = (Number(retryAfter) || 0) * 1_000;
    return Math.max(asked, longest / 2 + (this.outlet.random() * longest) / 2);
  }
}

/** Whether an answer may be another one next time. Only 204 is the collector's yes: a hotel's login page says 200. */
function isPassing(status: number): boolean {
  return status !== 204 && (status < 400 || status === 408 || status === 425 || status === 429 || status >= 500);
}

/** Batches of one person as one, where it has room: what former pages left travels with what this one has to tell. */
function merged(batches: readonly Batch[], inFlight: Batch | undefined): Batch[] {
  const all: Batch[] = [];
  for (const batch of batches) {
    const last = all[all.length - 1];
    const events = last ? [...last.events, ...batch.events] : [];
    const fits = last && last !== inFlight && batch !== inFlight && hasRoom(last, batch) && events.length <= MAX_BATCH_EVENTS;
    if (fits && JSON.stringify(events).length < MAX_BATCH_CHARS) all[all.length - 1] = { ...last, events };
    else all.push(batch);
  }
  return all;
}

function hasRoom(batch: Batch, identity: Identity): boolean {
  return (
    batch.device === identity.device &&
    batch.token === identity.token &&
    batch.click === identity.click &&
    batch.events.length < MAX_BATCH_EVENTS
  );
}
