import type { Store } from "./store";
import type { Batch } from "./words";

/** What is kept over a page's end: far below the 5 MB that browsers give an origin. */
export const MAX_SPOOLED_EVENTS = 300;
export const MAX_SPOOLED_FOR_MS = 72 * 3_600_000;

/** Batches that a page could not deliver before it ended; the next page of the site takes them over. */
export class Spool {
  constructor(
    private readonly store: Store,
    private readonly now: () => number,
  ) {}

  put(batches: readonly Batch[]): void {
    const known = new Set(batches.flatMap((batch) => batch.events.map((event) => event.event_id)));
    const older = this.read().filter((batch) => !batch.events.some((event) => known.has(event.event_id)));
    const all = bounded([...older, ...batches]);
    if (all.length) this.store.set("spool", JSON.stringify(all));
  }

  take(): Batch[] {
    const batches = this.read();
    this.store.remove("spool");
    return batches;
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

function isBatch(found: unknown): found is Batch {
  const batch = found as Partial<Batch> | null;
  return !!batch && typeof batch.device === "string" && Array.isArray(batch.events) && batch.events.length > 0;
}

/** The newest batches that fit; the oldest go first. */
export function bounded(batches: readonly Batch[]): Batch[] {
  const kept: Batch[] = [];
  let events = 0;
  for (const batch of [...batches].reverse()) {
    events += batch.events.length;
    if (events > MAX_SPOOLED_EVENTS) break;
    kept.unshift(batch);
  }
  return kept;
}
