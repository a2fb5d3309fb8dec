import type { Store } from "./store";
import type { Batch, SentEvent } from "./words";

/** What is kept over a page's end: far below the 5 MB that browsers give an origin. */
export const MAX_SPOOLED_EVENTS = 300;
export const MAX_SPOOLED_CHARS = 256_000;
export const MAX_SPOOLED_FOR_MS = 72 * 3_600_000;
/** How long one tab may hold what waits before another takes it too; the server knows what came twice. */
export const LEASE_MS = 20_000;

/** Batches that a page could not deliver before it ended; they stay on the disk until the collector has them. */
export class Spool {
  constructor(
    private readonly store: Store,
    private readonly now: () => number,
    private readonly holder: string,
  ) {}

  /** Keeps batches beside what is there already, and lets other tabs have them. */
  put(batches: readonly Batch[]): void {
    const known = idsOf(batches);
    this.write([...this.read().flatMap((batch) => less(batch, known)), ...batches]);
    if (this.isMine()) this.store.remove("lease");
  }

  /** What waits, unless another tab has it in hand. It stays on the disk: see {@link drop}. */
  take(): Batch[] {
    const [holder, until] = this.lease();
    if (holder && holder !== this.holder && until > this.now()) return [];
    const batches = this.read();
    if (batches.length) this.store.set("lease", `${this.holder} ${this.now() + LEASE_MS}`);
    return batches;
  }

  /** These were delivered, or will never be. */
  drop(batch: Batch): void {
    const gone = idsOf([batch]);
    this.write(this.read().flatMap((each) => less(each, gone)));
  }

  clear(): void {
    this.store.remove("spool");
    this.store.remove("lease");
  }

  private lease(): [string, number] {
    const [holder = "", until] = this.store.get("lease").split(" ");
    return [holder, Number(until) || 0];
  }

  private isMine(): boolean {
    return this.lease()[0] === this.holder;
  }

  private write(batches: readonly Batch[]): void {
    let kept = bounded(batches);
    let text = JSON.stringify(kept);
    while (text.length > MAX_SPOOLED_CHARS) text = JSON.stringify((kept = kept.slice(1)));
    if (kept.length) this.store.set("spool", text);
    else this.clear();
  }

  private read(): Batch[] {
    try {
      const found: unknown = JSON.parse(this.store.get("spool") || "[]");
      const since = this.now() - MAX_SPOOLED_FOR_MS;
      return Array.isArray(found) ? found.filter(isBatch).filter((batch) => batch.events.every((event) => event.occurred_at_ms > since)) : [];
    } catch {
      return [];
    }
  }
}

function idsOf(batches: readonly Batch[]): Set<string> {
  return new Set(batches.flatMap((batch) => batch.events.map((event) => event.event_id)));
}

function less(batch: Batch, gone: ReadonlySet<string>): Batch[] {
  const events = batch.events.filter((event) => !gone.has(event.event_id));
  return events.length ? [{ ...batch, events }] : [];
}

function isBatch(found: unknown): found is Batch {
  const batch = found as Partial<Batch> | null;
  return !!batch && typeof batch.device === "string" && Array.isArray(batch.events) && batch.events.length > 0;
}

/** Told often and worth little: the first to go where there is no room. */
const SLIGHT = /^(mouse|scrolled|field|key_h|hover)/;

/** Whether an action may wait a moment, and goes first where there is no room. */
export const isSlight = (event: Pick<SentEvent, "action">): boolean => SLIGHT.test(event.action);

/** The batches that fit: slight events go first, then the oldest. */
export function bounded(batches: readonly Batch[]): Batch[] {
  let over = batches.reduce((sum, batch) => sum + batch.events.length, 0) - MAX_SPOOLED_EVENTS;
  if (over <= 0) return [...batches];
  const weighed = batches.map((batch) => {
    const events = batch.events.filter((event) => !(isSlight(event) && over-- > 0));
    return events.length === batch.events.length ? batch : { ...batch, events };
  });
  const kept: Batch[] = [];
  let room = MAX_SPOOLED_EVENTS;
  for (const batch of weighed.reverse()) {
    if ((room -= batch.events.length) < 0) break;
    if (batch.events.length) kept.unshift(batch);
  }
  return kept;
}
