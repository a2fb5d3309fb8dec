import type { Store } from "./store";
import { table, type Table } from "./table";
import { jsonOf } from "./text";
import type { Batch, SentEvent } from "./words";

/** What is kept over a page's end: far below the 5 MB that browsers give an origin. */
export const MAX_SPOOLED_EVENTS = 300;
export const MAX_SPOOLED_CHARS = 256_000;
export const MAX_SPOOLED_FOR_MS = 72 * 3_600_000;
/** How long one tab may hold what waits before another takes it too; the server knows what came twice. */
export const LEASE_MS = 20_000;

export type Spool = ReturnType<typeof spoolIn>;

const NAMES = "spool.";

/**
 * Batches that a page could not deliver before it ended; they stay on the disk until the collector has them.
 *
 * Each stands under a name of its own, which is written once: a tab sees what the others write with a delay, so one that
 * read, changed and wrote a name of all would undo what another has just put there. Two tabs may write one event twice.
 */
export function spoolIn(store: Store, now: () => number, newId: () => string) {
  /** Until when what waits is in this page's hands. */
  let mine = 0;

  /** Batches with their names, the oldest first. What is too old or cannot be read goes. */
  const spooled = (): [Batch, string][] => {
    const found: [Batch, string][] = [];
    for (const name of store.names(NAMES)) {
      try {
        const batch = JSON.parse(store.kept(name)) as Batch;
        if (batch.device && begun(batch) > now() - MAX_SPOOLED_FOR_MS) {
          found.push([batch, name]);
          continue;
        }
      } catch {
        // NOTE: it is no batch of ours.
      }
      store.erase(name);
    }
    return found.sort(([one], [other]) => begun(one) - begun(other));
  };

  /** Takes the events of some batches out of what is spooled, puts others in, and holds the bounds. Whether anything is left. */
  const exchange = (gone: readonly Batch[], others: readonly Batch[]): boolean => {
    const before = spooled();
    const ids = idsOf(gone);
    const old = before.map(([batch]) => batch);
    const left = old.map((batch) => without(batch, ({ event_id: id }) => ids[id] || !(ids[id] = true)));
    let kept = bounded([...left, ...others]);
    while (jsonOf(kept).length > MAX_SPOOLED_CHARS) kept = kept.slice(1);
    for (const [batch, name] of before) if (!kept.includes(batch)) store.erase(name);
    for (const batch of kept) if (!old.includes(batch)) store.keep(NAMES + newId(), jsonOf(batch));
    return !!kept.length;
  };

  return {
    dropAll: (): void => store.erase("lease", ...store.names(NAMES)),

    /** Keeps batches beside what is there already, and lets other tabs have them. */
    shelve(batches: readonly Batch[]): void {
      store.touch(() => {
        exchange(batches, batches);
        store.erase("lease");
      });
    },

    /** What waits, unless another tab has it in hand. It stays on the disk until it is dropped. */
    takeUp(): Batch[] {
      const until = +store.kept("lease");
      if (until > now() && until !== mine) return [];
      const batches = spooled().map(([batch]) => batch);
      if (batches.length) store.keep("lease", `${(mine = now() + LEASE_MS)}`);
      return batches;
    },

    exchange,
  };
}

/** The ids of all their events. */
export function idsOf(batches: readonly Batch[]): Table<true> {
  const ids = table<true>();
  for (const { events } of batches) for (const { event_id: id } of events) ids[id] = true;
  return ids;
}

const begun = ({ events }: Batch): number => events[0]?.occurred_at_ms ?? 0;

export function without(batch: Batch, goes: (event: SentEvent) => unknown): Batch {
  const events = batch.events.filter((event) => !goes(event));
  return events.length === batch.events.length ? batch : { ...batch, events };
}

/** Told often and worth little: the first to go where there is no room. */
const SLIGHT = /^(mouse|scrolled|field|key_h|hover)/;

/** Whether an action may wait a moment, and goes first where there is no room. */
export const isSlight = (event: Pick<SentEvent, "action">): boolean => SLIGHT.test(event.action);

/** The batches that fit: slight events go first, then the oldest. */
export function bounded(batches: readonly Batch[]): Batch[] {
  let over = -MAX_SPOOLED_EVENTS;
  for (const { events } of batches) over += events.length;
  for (const goes of over > 0 ? [isSlight, () => true] : []) {
    batches = batches.map((batch) => without(batch, (event) => goes(event) && over-- > 0));
  }
  return batches.filter(({ events }) => events.length);
}
