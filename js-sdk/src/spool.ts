import type { Store } from "./store";
import type { Batch, SentEvent } from "./words";

/** What is kept over a page's end: far below the 5 MB that browsers give an origin. */
export const MAX_SPOOLED_EVENTS = 300;
export const MAX_SPOOLED_CHARS = 256_000;
export const MAX_SPOOLED_FOR_MS = 72 * 3_600_000;
/** How long one tab may hold what waits before another takes it too; the server knows what came twice. */
export const LEASE_MS = 20_000;

export type Spool = ReturnType<typeof spoolIn>;

/** Batches that a page could not deliver before it ended; they stay on the disk until the collector has them. */
export function spoolIn(store: Store, now: () => number, holder: string) {
  const lease = (): string[] => store.kept("lease").split(" ");

  const dropAll = (): void => store.erase("spool", "lease");

  const spooled = (): Batch[] => {
    try {
      const since = now() - MAX_SPOOLED_FOR_MS;
      return (JSON.parse(store.kept("spool")) as (Partial<Batch> | null)[]).filter(isBatch).filter(({ events }) => events.every((event) => event.occurred_at_ms > since));
    } catch {
      return [];
    }
  };

  /** Writes what is spooled without the events of some batches, and others instead. */
  const exchange = (gone: readonly Batch[], others: readonly Batch[]): void => {
    const ids = idsOf(gone);
    const left = spooled().map((batch) => ({ ...batch, events: batch.events.filter((event) => !ids.has(event.event_id)) }));
    let kept = bounded([...left.filter((batch) => batch.events.length), ...others]);
    let text;
    while ((text = JSON.stringify(kept)).length > MAX_SPOOLED_CHARS) kept = kept.slice(1);
    if (kept.length) store.keep("spool", text);
    else dropAll();
  };

  return {
    dropAll,

    /** Keeps batches beside what is there already, and lets other tabs have them. */
    shelve(batches: readonly Batch[]): void {
      exchange(batches, batches);
      if (lease()[0] === holder) store.erase("lease");
    },

    /** What waits, unless another tab has it in hand. It stays on the disk until it is dropped. */
    takeUp(): Batch[] {
      const [other, until] = lease();
      if (other && other !== holder && Number(until) > now()) return [];
      const batches = spooled();
      if (batches.length) store.keep("lease", `${holder} ${now() + LEASE_MS}`);
      return batches;
    },

    /** These were delivered, or will never be. */
    dropOff(batch: Batch): void {
      exchange([batch], []);
    },
  };
}

export function idsOf(batches: readonly Batch[]): Set<string> {
  return new Set(batches.flatMap((batch) => batch.events.map((event) => event.event_id)));
}

function isBatch(found: Partial<Batch> | null): found is Batch {
  return typeof found?.device === "string" && Array.isArray(found.events) && found.events.length > 0;
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
  return weighed.filter(({ events: { length } }) => {
    const goes = over > 0;
    if (goes) over -= length;
    return !goes && length;
  });
}
