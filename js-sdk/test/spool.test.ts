import assert from "node:assert/strict";
import { test } from "node:test";
import { idsOf, LEASE_MS, MAX_SPOOLED_CHARS, MAX_SPOOLED_EVENTS, spoolIn, type Spool } from "../src/spool";
import { storeIn, type Backing } from "../src/store";
import type { Batch } from "../src/words";

/** One origin's storage as browsers have it: a tab writes through at once, and sees what others wrote only later. */
class Origin {
  readonly disk = new Map<string, string>();
  clock = 1_000_000_000_000;
  private made = 0;

  tab(): Tab {
    return new Tab(this);
  }
  batch(text = ""): Batch {
    const id = `e${(this.made += 1)}`;
    return { device: "d", token: "", click: "", events: [{ event_id: id, action: "x", occurred_at_ms: this.clock, order: this.made, properties: { text } }] };
  }
  /** The ids of all events on the disk. */
  ids(): Set<string> {
    return new Set(Object.keys(idsOf(this.spooled())));
  }
  spooled(): Batch[] {
    return [...this.disk].filter(([name]) => name.startsWith("s.spool")).flatMap(([, text]) => JSON.parse(text) as Batch | Batch[]);
  }
}

class Tab {
  readonly spool: Spool;
  private seen = new Map<string, string>();

  constructor(private readonly origin: Origin) {
    this.look();
    const write = (key: string, value: string | undefined): void => {
      for (const map of [origin.disk, this.seen]) {
        if (value === undefined) map.delete(key);
        else map.set(key, value);
      }
    };
    const backing: Backing = { getItem: (key) => this.seen.get(key) ?? null, setItem: write, removeItem: (key) => write(key, undefined) };
    const listed = new Proxy(backing, {
      ownKeys: () => [...this.seen.keys()],
      getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }),
    });
    this.spool = spoolIn(storeIn(listed, "s."), () => origin.clock, () => Math.random().toString(36).slice(2));
  }
  /** What the others wrote has come. */
  look(): void {
    this.seen = new Map(this.origin.disk);
  }
}

test("two tabs that write at once both find their events again", () => {
  const origin = new Origin();
  const [one, other] = [origin.tab(), origin.tab()];
  const [first, second] = [origin.batch(), origin.batch()];
  one.spool.shelve([first]);
  other.spool.shelve([second]);
  assert.deepEqual([...origin.ids()].sort(), ["e1", "e2"]);
  assert.deepEqual(Object.keys(idsOf(origin.tab().spool.takeUp())), ["e1", "e2"]);
});

test("a tab that has delivered what another keeps on writing takes away nothing but what it has delivered", () => {
  const origin = new Origin();
  const [one, other] = [origin.tab(), origin.tab()];
  const first = origin.batch();
  one.spool.shelve([first]);
  other.look();
  const taken = other.spool.takeUp();
  one.spool.shelve([first, origin.batch()]);
  for (const batch of taken) other.spool.exchange([batch], []);
  assert.ok(origin.ids().has("e2"));
});

test("however tabs come, write, take over, deliver and go, each event is on the disk, in a tab's hands, or delivered", () => {
  let seed = 11;
  const next = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below;
  for (let round = 0; round < 200; round += 1) {
    const origin = new Origin();
    const told = new Set<string>();
    const delivered = new Set<string>();
    let tabs = [0, 1, 2].map(() => ({ tab: origin.tab(), held: [] as Batch[] }));
    for (let step = 0; step < 40; step += 1) {
      const at = next(tabs.length);
      const { tab, held } = tabs[at]!;
      const what = next(6);
      origin.clock += next(LEASE_MS / 4);
      if (what === 0) {
        const batch = origin.batch();
        told.add(batch.events[0]!.event_id);
        held.push(batch);
        tab.spool.shelve(held);
      } else if (what === 1) tab.look();
      else if (what === 2) held.push(...tab.spool.takeUp());
      else if (what === 3 && held.length) {
        const batch = held.shift()!;
        for (const id of Object.keys(idsOf([batch]))) delivered.add(id);
        tab.spool.exchange([batch], []);
      } else if (what === 4) tabs[at] = { tab: origin.tab(), held: [] };
      else tabs = [...tabs.slice(1), tabs[0]!];
    }
    const known = new Set([...origin.ids(), ...delivered]);
    assert.deepEqual([...told].filter((id) => !known.has(id)), [], `round ${round}`);
    tabs.forEach(({ tab }) => (tab.look(), tab.spool.takeUp()));
  }
});

test("all tabs together keep within the bounds, and one of them can clear what all have left", () => {
  const origin = new Origin();
  for (let tab = 0; tab < 5; tab += 1) origin.tab().spool.shelve(Array.from({ length: 100 }, () => origin.batch()));
  assert.equal(origin.ids().size, MAX_SPOOLED_EVENTS);
  assert.ok(origin.ids().has("e500"));
  for (let tab = 0; tab < 5; tab += 1) origin.tab().spool.shelve(Array.from({ length: 9 }, () => origin.batch("y".repeat(9_000))));
  assert.ok(JSON.stringify(origin.spooled()).length <= MAX_SPOOLED_CHARS);
  origin.tab().spool.dropAll();
  assert.equal(origin.disk.size, 0);
});

test("what is no batch goes", () => {
  const origin = new Origin();
  for (const nonsense of ["{", "7", "null", "[null, 1, {}]", '{"device": "d"}', '{"device": "d", "events": []}']) {
    origin.disk.set("s.spool.nonsense", nonsense);
    assert.deepEqual(origin.tab().spool.takeUp(), []);
    assert.equal(origin.disk.size, 0);
  }
});
