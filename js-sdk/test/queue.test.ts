import assert from "node:assert/strict";
import { test } from "node:test";
import { MAX_BATCH_EVENTS, Queue, type Outlet } from "../src/queue";
import { MAX_SPOOLED_EVENTS, Spool } from "../src/spool";
import { Store } from "../src/store";
import type { Batch, SentEvent } from "../src/words";

const ME = { device: "d", token: "t", click: "" };

class Stage implements Outlet {
  clock = 1_000_000_000_000;
  bodies: Batch[] = [];
  beacons: Batch[] = [];
  answers: ({ status: number; retryAfter: string | null } | "away")[] = [];
  accepts = true;
  tasks: { run: () => void; after: number }[] = [];
  store = new Store(undefined, "");
  spool = new Spool(this.store, () => this.clock);
  queue = new Queue("SITE", this, this.spool);
  made = 0;

  async post(body: string): Promise<{ status: number; retryAfter: string | null }> {
    this.bodies.push(JSON.parse(body) as Batch);
    const answer = this.answers.shift() ?? { status: 204, retryAfter: null };
    if (answer === "away") throw new TypeError("failed to fetch");
    return answer;
  }
  beacon(body: string): boolean {
    if (this.accepts) this.beacons.push(JSON.parse(body) as Batch);
    return this.accepts;
  }
  now(): number { return this.clock; }
  random(): number { return 0.5; }
  later(run: () => void, after: number): unknown { const task = { run, after }; this.tasks.push(task); return task; }
  cancel(timer: unknown): void { this.tasks = this.tasks.filter((task) => task !== timer); }

  add(count = 1): void {
    for (let n = 0; n < count; n += 1) {
      const event: SentEvent = { event_id: `e${(this.made += 1)}`, action: "x", occurred_at_ms: this.clock, order: this.made, properties: {} };
      this.queue.add(ME, event);
    }
  }
  /** Runs the next timer and waits for what it began; returns how long it would have waited. */
  async next(): Promise<number> {
    const task = this.tasks.shift();
    assert.ok(task, "nothing is planned");
    task.run();
    await new Promise((done) => setImmediate(done));
    return task.after;
  }
}

const ids = (batches: Batch[]): string[] => batches.flatMap((batch) => batch.events.map((event) => event.event_id));

test("events of one moment travel together, with the envelope that the collector takes", async () => {
  const stage = new Stage();
  stage.add(2);
  assert.ok((await stage.next()) <= 100);
  assert.deepEqual(Object.keys(stage.bodies[0] ?? {}).sort(), ["click", "device", "events", "schema", "sent_at_ms", "site", "token"]);
  assert.deepEqual(ids(stage.bodies), ["e1", "e2"]);
  assert.equal(stage.tasks.length, 0);
});

test("large batches are parted, in order", async () => {
  const stage = new Stage();
  stage.add(MAX_BATCH_EVENTS + 1);
  await stage.next();
  await stage.next();
  assert.deepEqual(stage.bodies.map((body) => body.events.length), [MAX_BATCH_EVENTS, 1]);
});

test("two identities never share a batch", async () => {
  const stage = new Stage();
  stage.add();
  stage.queue.add({ ...ME, token: "other" }, { event_id: "o", action: "x", occurred_at_ms: 1, order: 9, properties: {} });
  await stage.next();
  await stage.next();
  assert.deepEqual(stage.bodies.map((body) => body.token), ["t", "other"]);
});

test("a 503 is tried again, not before Retry-After, and nothing is lost or out of order", async () => {
  const stage = new Stage();
  stage.answers = [{ status: 503, retryAfter: "7" }, "away", { status: 500, retryAfter: null }];
  stage.add();
  await stage.next();
  stage.add();
  assert.ok((await stage.next()) >= 7_000);
  const second = await stage.next();
  const third = await stage.next();
  assert.ok(third > second);
  while (stage.tasks.length) await stage.next();
  assert.deepEqual([...new Set(ids(stage.bodies))], ["e1", "e2"]);
  assert.deepEqual(ids(stage.bodies.slice(-1)).slice(-1), ["e2"]);
});

test("what is refused for good is dropped, and the rest goes on", async () => {
  const stage = new Stage();
  stage.answers = [{ status: 403, retryAfter: null }];
  stage.add();
  await stage.next();
  assert.equal(stage.tasks.length, 0);
  stage.add();
  await stage.next();
  assert.deepEqual(ids(stage.bodies), ["e1", "e2"]);
});

test("a page that ends hands over what waits", () => {
  const stage = new Stage();
  stage.add(2);
  stage.queue.leave();
  assert.deepEqual(ids(stage.beacons), ["e1", "e2"]);
  assert.deepEqual(stage.spool.take(), []);
});

test("what the browser refuses is spooled, and the next page sends it", async () => {
  const stage = new Stage();
  stage.accepts = false;
  stage.add();
  stage.queue.leave();
  const next = new Queue("SITE", stage, stage.spool);
  stage.tasks = [];
  next.resume();
  await stage.next();
  assert.deepEqual(ids(stage.bodies), ["e1"]);
});

test("a request in flight when the page ends comes again with the same ids, unless it was answered", async () => {
  const stage = new Stage();
  stage.add();
  const sent = stage.next();
  stage.add();
  stage.queue.leave();
  assert.deepEqual(ids(stage.beacons), ["e2"]);
  await sent;
  assert.deepEqual(ids(stage.spool.take()), ["e1", "e2"]);
});

test("coming back does not double what is still in memory", async () => {
  const stage = new Stage();
  stage.answers = ["away"];
  stage.add();
  await stage.next();
  stage.queue.leave();
  stage.queue.resume();
  while (stage.tasks.length) await stage.next();
  assert.deepEqual(ids(stage.bodies), ["e1", "e1"]);
});

test("the spool is bounded in number and age, and survives nonsense", () => {
  const stage = new Stage();
  const batch = (id: string, at: number): Batch => ({ ...ME, events: [{ event_id: id, action: "x", occurred_at_ms: at, order: 1, properties: {} }] });
  stage.spool.put(Array.from({ length: MAX_SPOOLED_EVENTS + 5 }, (_, n) => batch(`b${n}`, stage.clock)));
  const kept = stage.spool.take();
  assert.equal(kept.length, MAX_SPOOLED_EVENTS);
  assert.equal(kept[0]?.events[0]?.event_id, "b5");
  stage.spool.put([batch("old", stage.clock - 73 * 3_600_000)]);
  assert.deepEqual(stage.spool.take(), []);
  for (const nonsense of ["{", "7", "[null, 1, {}]"]) {
    stage.store.set("spool", nonsense);
    assert.deepEqual(stage.spool.take(), []);
  }
});

test("clearing leaves nothing to send", () => {
  const stage = new Stage();
  stage.accepts = false;
  stage.add();
  stage.queue.leave();
  stage.queue.clear();
  stage.queue.leave();
  assert.deepEqual([stage.tasks.length, stage.beacons.length, stage.spool.take()], [0, 0, []]);
});
