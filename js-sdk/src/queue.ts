import { bounded, type Spool } from "./spool";
import type { Batch, Identity, SentEvent } from "./words";

/** How bodies leave the browser. */
export interface Outlet {
  /** Resolves with the answer; rejects where the network is away. */
  post(body: string): Promise<{ status: number; retryAfter: string | null }>;
  /** For a page that ends: true where the browser took it over. */
  beacon(body: string): boolean;
  now(): number;
  random(): number;
  /** Runs `task` later; returns what `cancel` takes. */
  later(task: () => void, afterMs: number): unknown;
  cancel(timer: unknown): void;
}

/** A list move should come within a second: events wait only for those of the same moment. */
export const FLUSH_AFTER_MS = 50;
export const MAX_BATCH_EVENTS = 20;
/** Half of the 64 KiB that all keepalive requests of a page share. */
export const MAX_BATCH_CHARS = 30_000;
const FIRST_RETRY_MS = 1_000;
const MAX_RETRY_MS = 60_000;

/**
 * Events in order, one request at a time, each batch kept until the collector has answered 2xx.
 *
 * A 408, 425, 429, 5xx or no answer is tried again with back-off (never before `Retry-After`); another 4xx is dropped,
 * as it would be refused again. When the page ends, what waits goes out as a beacon; what is in doubt is spooled too
 * and comes again with the same event ids.
 */
export class Queue {
  private batches: Batch[] = [];
  private inFlight: Batch | undefined;
  private failures = 0;
  private timer: unknown;

  constructor(
    private readonly site: string,
    private readonly outlet: Outlet,
    private readonly spool: Spool,
  ) {}

  add(identity: Identity, event: SentEvent): void {
    const last = this.batches[this.batches.length - 1];
    if (last && last !== this.inFlight && hasRoom(last, identity, event)) last.events.push(event);
    else this.batches.push({ ...identity, events: [event] });
    this.batches = bounded(this.batches);
    if (!this.inFlight && this.timer === undefined) this.schedule(FLUSH_AFTER_MS);
  }

  /** Takes over what former pages left, and goes on at once: at start, on return, and when the network is back. */
  resume(): void {
    const known = new Set(this.batches.flatMap((batch) => batch.events.map((event) => event.event_id)));
    const left = this.spool.take().filter((batch) => !batch.events.some((event) => known.has(event.event_id)));
    this.batches = bounded([...left, ...this.batches]);
    if (this.batches.length && !this.inFlight) this.schedule(this.failures ? 0 : FLUSH_AFTER_MS);
  }

  /** The page may end now. */
  leave(): void {
    this.unschedule();
    const doubtful = this.inFlight || this.failures ? [...this.batches] : this.batches.filter((batch) => !this.beaconed(batch));
    this.batches = doubtful;
    if (!doubtful.length) return;
    // NOTE: behind a request in flight beacons would overtake it; but a page that never comes back must not wait.
    for (const batch of doubtful) if (batch !== this.inFlight && !this.failures) this.beaconed(batch);
    this.spool.put(doubtful);
    if (!this.inFlight) this.schedule(this.backOff(null));
  }

  /** Drops everything, here and in the spool. */
  clear(): void {
    this.unschedule();
    this.batches = [];
    this.spool.take();
  }

  private beaconed(batch: Batch): boolean {
    return this.outlet.beacon(this.body(batch));
  }

  private body(batch: Batch): string {
    return JSON.stringify({ schema: 1, site: this.site, sent_at_ms: this.outlet.now(), ...batch });
  }

  private schedule(afterMs: number): void {
    this.unschedule();
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
    let answer: { status: number; retryAfter: string | null };
    try {
      answer = await this.outlet.post(this.body(batch));
    } catch {
      answer = { status: 0, retryAfter: null };
    }
    this.inFlight = undefined;
    if (isPassing(answer.status)) {
      this.failures += 1;
      this.schedule(this.backOff(answer.retryAfter));
      return;
    }
    this.failures = 0;
    this.batches = this.batches.filter((each) => each !== batch);
    if (this.batches.length) this.schedule(0);
  }

  private backOff(retryAfter: string | null): number {
    const longest = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.max(0, this.failures - 1));
    const asked = (Number(retryAfter) || 0) * 1_000;
    return Math.max(asked, longest / 2 + (this.outlet.random() * longest) / 2);
  }
}

function isPassing(status: number): boolean {
  return status === 0 || status === 408 || status === 425 || status === 429 || status >= 500;
}

function hasRoom(batch: Batch, identity: Identity, event: SentEvent): boolean {
  return (
    batch.device === identity.device &&
    batch.token === identity.token &&
    batch.click === identity.click &&
    batch.events.length < MAX_BATCH_EVENTS &&
    JSON.stringify(batch.events).length + JSON.stringify(event).length < MAX_BATCH_CHARS
  );
}
