import assert from "node:assert/strict";
import { test } from "node:test";
import { ASK_WITHIN_MS, BEQUEATH_AFTER_MS, FLUSH_AFTER_MS, FLUSH_SLIGHT_AFTER_MS, MAX_BATCH_CHARS, MAX_BATCH_EVENTS, queueTo, type Answer, type Outlet } from "../src/queue";
import { LEASE_MS, MAX_SPOOLED_CHARS, MAX_SPOOLED_EVENTS, spoolIn } from "../src/spool";
import { storeIn } from "../src/store";
import type { Batch, SentEvent } from "../src/words";

const noEnd = (): undefined => undefined;
const ME = { device: "d", token: "t", click: "" };

class Stage implements Outlet {
  clock = 1_000_000_000_000;
  bodies: Batch[] = [];
  beacons: Batch[] = [];
  bequests: Batch[] = [];
  answers: ({ status: number; retryAfter: string | null; stored?: string | null } | "away")[] = [];
  accepts = true;
  tasks: { run: () => void; after: number }[] = [];
  store = storeIn(undefined, "");
  spool = spoolIn(this.store, () => this.clock, namedBy("tab"));
  queue = queueTo("SITE", this, this.spool, noEnd);
  made = 0;

  outlives = true;
  unanswered: ((answer: Answer) => void)[] = [];

  post(body: string, answered: (answer: Answer) => void): void {
    this.bodies.push(JSON.parse(body) as Batch);
    const answer = this.answers.shift() ?? { status: 204, retryAfter: null };
    setImmediate(() => answered(answer === "away" ? { status: 0 } : answer));
  }
  part(body: string, answered: (answer: Answer) => void): void {
    if (this.accepts) this.beacons.push(JSON.parse(body) as Batch);
    this.unanswered.push(answered);
  }
  bequeath(bodies: readonly string[]): void { this.bequests = bodies.map((body) => JSON.parse(body) as Batch); }
  now(): number { return this.clock; }
  random(): number { return 0.5; }
  wills: (() => void)[] = [];
  later(run: () => void, after: number): unknown {
    const task = { run, after };
    if (after === BEQUEATH_AFTER_MS) this.wills.push(run);
    else this.tasks.push(task);
    return task;
  }
  callOff(timer: unknown): void { this.tasks = this.tasks.filter((task) => task !== timer); }

  add(count = 1, action = "x"): void {
    for (let n = 0; n < count; n += 1) {
      const event: SentEvent = { event_id: `e${(this.made += 1)}`, action, occurred_at_ms: this.clock, order: this.made, properties: {} };
      this.queue.take(ME, event);
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

const namedBy = (tab: string, made = 0) => (): string => `${tab}${(made += 1)}`;
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
  stage.queue.take({ ...ME, token: "other" }, { event_id: "o", action: "x", occurred_at_ms: 1, order: 9, properties: {} });
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

/** The page after one that ended with two events on their way; what it is answered, answer by answer. */
const nextPage = (...answers: Stage["answers"]): Stage => {
  const stage = new Stage();
  stage.add(2);
  stage.queue.leave();
  assert.deepEqual(ids(stage.beacons), ["e1", "e2"]);
  stage.queue = queueTo("SITE", stage, stage.spool, noEnd);
  stage.tasks = [];
  stage.answers = answers;
  stage.queue.takeOver();
  return stage;
};
const asked = (stage: Stage): unknown[] => stage.bodies.map((body) => (body as Batch & { asked?: string[] }).asked);
const yes = (stored: string | null): Stage["answers"][number] => ({ status: 204, retryAfter: null, stored });

test("the next page asks with its first request what came of what a page ended with, and sends only the rest", async () => {
  for (const [stored, again] of [["11", []], ["10", ["e2"]], ["01", ["e1"]], ["00", ["e1", "e2"]], ["1", ["e2"]], ["", ["e1", "e2"]], [null, ["e1", "e2"]]] as const) {
    const stage = nextPage(yes(stored));
    stage.add();
    while (stage.tasks.length) await stage.next();
    assert.deepEqual(ids(stage.bodies), ["e3", ...again], `answered ${stored}`);
    assert.deepEqual(asked(stage), [["e1", "e2"], ...(again.length ? [undefined] : [])]);
    assert.deepEqual(stage.spool.takeUp(), []);
  }
});

test("what the collector does not know of stays on the disk until it has it", async () => {
  const stage = nextPage(yes("10"), { status: 503, retryAfter: null });
  stage.add();
  await stage.next();
  await stage.next();
  assert.deepEqual(ids(stage.spool.takeUp()), ["e2"]);
  while (stage.tasks.length) await stage.next();
  assert.deepEqual(ids(stage.bodies), ["e3", "e2", "e2"]);
  assert.deepEqual(stage.spool.takeUp(), []);
});

test("a page with nothing to tell of its own sends after a while what a page ended with", async () => {
  const stage = nextPage();
  assert.equal(await stage.next(), ASK_WITHIN_MS);
  assert.deepEqual([ids(stage.bodies), asked(stage)], [["e1", "e2"], [undefined]]);
});

test("a request that fails asks again when it is tried again", async () => {
  const stage = nextPage({ status: 503, retryAfter: null }, yes("11"));
  stage.add();
  while (stage.tasks.length) await stage.next();
  assert.deepEqual([ids(stage.bodies), asked(stage)], [["e3", "e3"], [["e1", "e2"], ["e1", "e2"]]]);
  assert.deepEqual(stage.spool.takeUp(), []);
});

test("a page that is left before it has an answer sends all that it does not know of", async () => {
  for (const began of [false, true]) {
    const stage = nextPage();
    stage.add();
    stage.post = () => undefined;
    if (began) await stage.next();
    stage.beacons = [];
    stage.queue.leave();
    assert.deepEqual(ids(stage.beacons).filter((id) => id !== "e3"), ["e1", "e2"]);
    assert.deepEqual(ids(stage.spool.takeUp()).sort(), ["e1", "e2", "e3"]);
  }
});

test("a no drops what a former page left, too", async () => {
  const stage = nextPage();
  stage.queue.dropAll();
  stage.add();
  while (stage.tasks.length) await stage.next();
  assert.deepEqual([ids(stage.bodies), asked(stage)], [["e3"], [undefined]]);
});

test("a page that lives on hears what came of its parting words, and says nothing twice", async () => {
  const stage = new Stage();
  stage.add(2);
  stage.queue.leave();
  stage.queue.takeOver();
  assert.equal(stage.tasks.length, 0);
  stage.unanswered.pop()?.({ status: 204 });
  assert.deepEqual(stage.spool.takeUp(), []);
});

test("what was under way when a page was put by is asked again when it comes back", async () => {
  const stage = new Stage();
  stage.post = (body) => void stage.bodies.push(JSON.parse(body) as Batch);
  stage.add();
  await stage.next();
  stage.queue.leave();
  stage.queue.takeOver();
  assert.equal(stage.tasks.length, 0);
  stage.queue.takeOver(true);
  await stage.next();
  assert.deepEqual(ids(stage.bodies), ["e1", "e1"]);
});

test("a collector that asks for time is not told by beacon; one that cannot be reached is", async () => {
  for (const [answer, told] of [[{ status: 503, retryAfter: "5" }, []], ["away", ["e1"]]] as const) {
    const stage = new Stage();
    stage.answers = [answer];
    stage.add();
    await stage.next();
    stage.queue.leave();
    assert.deepEqual(ids(stage.beacons), told);
    assert.deepEqual(ids(stage.spool.takeUp()), ["e1"]);
  }
});

test("what the browser refuses is spooled, and the next page sends it", async () => {
  const stage = new Stage();
  stage.accepts = false;
  stage.add();
  stage.queue.leave();
  const next = queueTo("SITE", stage, stage.spool, noEnd);
  stage.tasks = [];
  next.takeOver();
  await stage.next();
  assert.deepEqual(ids(stage.bodies), ["e1"]);
  assert.deepEqual(stage.spool.takeUp(), []);
});

test("what the next page takes over stays on the disk until the collector has it", async () => {
  const stage = new Stage();
  stage.accepts = false;
  stage.add();
  stage.queue.leave();
  const next = queueTo("SITE", stage, stage.spool, noEnd);
  stage.tasks = [];
  stage.answers = [{ status: 503, retryAfter: null }];
  next.takeOver();
  await stage.next();
  assert.deepEqual(ids(stage.spool.takeUp()), ["e1"]);
  await stage.next();
  assert.deepEqual(stage.spool.takeUp(), []);
});

test("of two tabs one takes what waits, and the other only after a while", () => {
  const stage = new Stage();
  const other = spoolIn(stage.store, () => stage.clock, namedBy("other"));
  stage.spool.shelve([batchOf("e1", stage.clock)]);
  assert.deepEqual(ids(stage.spool.takeUp()), ["e1"]);
  assert.deepEqual(other.takeUp(), []);
  stage.clock += LEASE_MS;
  assert.deepEqual(ids(other.takeUp()), ["e1"]);
});

test("a request in flight when the page ends comes again with the same ids, unless it was answered", async () => {
  const stage = new Stage();
  stage.add();
  const sent = stage.next();
  stage.add();
  stage.queue.leave();
  assert.deepEqual(ids(stage.beacons), ["e2"]);
  assert.deepEqual(ids(stage.spool.takeUp()), ["e1", "e2"]);
  await sent;
  assert.deepEqual(ids(stage.spool.takeUp()), ["e2"]);
});

test("coming back does not double what is still in memory", async () => {
  const stage = new Stage();
  stage.answers = ["away"];
  stage.add();
  await stage.next();
  stage.queue.leave();
  stage.queue.takeOver();
  while (stage.tasks.length) await stage.next();
  assert.deepEqual(ids(stage.bodies), ["e1", "e1"]);
});

const batchOf = (id: string, at: number, action = "x"): Batch => ({ ...ME, events: [{ event_id: id, action, occurred_at_ms: at, order: 1, properties: {} }] });

test("the spool is bounded in number and age", () => {
  const stage = new Stage();
  stage.spool.shelve(Array.from({ length: MAX_SPOOLED_EVENTS + 5 }, (_, n) => batchOf(`b${n}`, stage.clock)));
  const kept = stage.spool.takeUp();
  assert.equal(kept.length, MAX_SPOOLED_EVENTS);
  assert.equal(kept[0]?.events[0]?.event_id, "b5");
  stage.spool.dropAll();
  stage.spool.shelve([batchOf("old", stage.clock - 73 * 3_600_000)]);
  assert.deepEqual(stage.spool.takeUp(), []);
});

test("where there is no room, what comes in swarms goes first, then the oldest", () => {
  const stage = new Stage();
  const moves = Array.from({ length: MAX_SPOOLED_EVENTS }, (_, n) => batchOf(`m${n}`, stage.clock, "mouse_moved"));
  stage.spool.shelve([batchOf("first", stage.clock), ...moves, batchOf("last", stage.clock)]);
  const kept = ids(stage.spool.takeUp());
  assert.equal(kept.length, MAX_SPOOLED_EVENTS);
  assert.deepEqual([kept[0], kept[1], kept[kept.length - 1]], ["first", "m2", "last"]);
});

test("the spool is bounded in size", () => {
  const stage = new Stage();
  const wide = (n: number): Batch => ({ ...ME, events: [{ event_id: `w${n}`, action: "x", occurred_at_ms: stage.clock, order: n, properties: { text: "y".repeat(9_000) } }] });
  stage.spool.shelve(Array.from({ length: 40 }, (_, n) => wide(n)));
  assert.ok(JSON.stringify(stage.spool.takeUp()).length <= MAX_SPOOLED_CHARS);
  assert.equal(ids(stage.spool.takeUp()).pop(), "w39");
});

test("no body is larger than a page's share, whatever is in it", async () => {
  const stage = new Stage();
  for (let n = 0; n < 12; n += 1) stage.queue.take(ME, { event_id: `w${n}`, action: "x", occurred_at_ms: 1, order: n, properties: { text: "界".repeat(4_000) } });
  while (stage.tasks.length) await stage.next();
  assert.equal(ids(stage.bodies).length, 12);
  for (const body of stage.bodies) {
    assert.ok(JSON.stringify(body).length <= MAX_BATCH_CHARS + 300);
    assert.ok(new TextEncoder().encode(JSON.stringify(body)).length < 65_536);
  }
});

test("what comes in swarms waits a little longer, unless something else is on the way", () => {
  const stage = new Stage();
  stage.add(1, "mouse_moved");
  assert.equal(stage.tasks[0]?.after, FLUSH_SLIGHT_AFTER_MS);
  stage.add(1, "product_bought");
  assert.deepEqual(stage.tasks.map((task) => task.after), [FLUSH_AFTER_MS]);
});

test("only 204 is a yes: a login page in between says 200", async () => {
  const stage = new Stage();
  stage.answers = [{ status: 200, retryAfter: null }, { status: 302, retryAfter: null }];
  stage.add();
  while (stage.tasks.length) await stage.next();
  assert.deepEqual(ids(stage.bodies), ["e1", "e1", "e1"]);
});

test("the browser holds what is not delivered and the page's end, and nothing more once the page has ended well", async () => {
  const stage = new Stage();
  let last: Batch | undefined = { ...ME, events: [{ event_id: "end", action: "page_closed", occurred_at_ms: 1, order: 9, properties: {} }] };
  const queue = queueTo("SITE", stage, stage.spool, () => last);
  queue.take(ME, { event_id: "e1", action: "x", occurred_at_ms: 1, order: 1, properties: {} });
  stage.wills.pop()?.();
  assert.deepEqual(ids(stage.bequests), ["e1", "end"]);
  assert.ok(stage.bequests.every((body) => (body as Batch & { deferred?: boolean }).deferred));
  await stage.next();
  // At once: a page that crashes in the moment after would have the browser say again what has come.
  assert.deepEqual(ids(stage.bequests), ["end"]);
  last = undefined;
  queue.leave();
  assert.deepEqual(stage.bequests, []);
});

test("clearing leaves nothing to send", () => {
  const stage = new Stage();
  stage.accepts = false;
  stage.add();
  stage.queue.leave();
  stage.queue.dropAll();
  stage.queue.leave();
  assert.deepEqual([stage.tasks.length, stage.beacons.length, stage.spool.takeUp()], [0, 0, []]);
});

test("what comes after everything was dropped does not wait for a retry that is gone", async () => {
  const stage = new Stage();
  stage.answers = [{ status: 503, retryAfter: "60" }];
  stage.add();
  await stage.next();
  stage.queue.dropAll();
  stage.add();
  assert.equal(await stage.next(), FLUSH_AFTER_MS);
  assert.deepEqual(ids(stage.bodies), ["e1", "e2"]);
});
