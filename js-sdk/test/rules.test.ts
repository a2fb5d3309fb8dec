import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { askedOf, captureOf, FRESH_MS } from "../src/asked";
import { automaton, normalised } from "../src/features/keys";
import { forming, numberOf, orderId, shaped } from "../src/products";
import { guard, MAX_PER_ACTION, MAX_PER_PAGE, PER_MS } from "../src/guard";
import { cut, masked, plain } from "../src/text";
import { urlOf } from "../src/urls";
import type { Asked, Form, Page } from "../src/words";
// @ts-expect-error: a script without types
import { INTERNAL } from "../parts.mjs";

const letters = (text: string): string[] => [...text];
const fed = (rows: ReturnType<typeof automaton>, text: string, patterns: string[]): string[] => letters(text).flatMap((each) => rows.take(each, patterns));

test("patterns are found wherever they begin, also in themselves, and each for itself", () => {
  const patterns = ["aab", "ab", "b"];
  assert.deepEqual(fed(automaton(letters), "aaab", patterns), ["aab", "ab", "b"]);
  assert.deepEqual(fed(automaton(letters), "abab", ["abab", "bab"]), ["abab", "bab"]);
  assert.deepEqual(fed(automaton(letters), "ac", patterns), []);
});

test("the automaton finds what a search of the whole text finds", () => {
  let seed = 7;
  const next = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below;
  for (let round = 0; round < 300; round += 1) {
    const word = (length: number): string => Array.from({ length }, () => "ab"[next(2)]).join("");
    const patterns = [...new Set([word(1 + next(4)), word(1 + next(4)), word(1 + next(4))])];
    const text = word(20);
    const wanted = letters(text).flatMap((_, at) => patterns.filter((each) => text.slice(0, at + 1).endsWith(each)));
    assert.deepEqual(fed(automaton(letters), text, patterns), wanted);
  }
});

test("a pattern that is asked for later begins then; a forgotten one begins anew; an empty one is never found", () => {
  const rows = automaton(letters);
  rows.take("a", ["ab"]);
  assert.deepEqual(rows.take("b", ["ab", "b", ""]), ["ab", "b"]);
  rows.take("a", ["ab"]);
  rows.forget();
  assert.deepEqual(rows.take("b", ["ab"]), []);
});

test("shortcuts are one however they are written", () => {
  for (const each of ["Ctrl+Shift+K", "shift+ctrl+k", "Control+shift+K"]) assert.equal(normalised(each), "ctrl+shift+k");
  assert.equal(normalised("Cmd++"), "meta++");
});

test("a page that goes wild is held back", () => {
  const admits = guard();
  const admitted = (action: string, at: number, times: number): number => Array.from({ length: times }, () => admits(action, at)).filter(Boolean).length;
  assert.equal(admitted("mouse_moved", 0, MAX_PER_ACTION + 5), MAX_PER_ACTION);
  assert.equal(admitted("page_viewed", 0, 1), 1);
  assert.equal(admitted("mouse_moved", PER_MS - 1, 1), 0);
  assert.equal(admitted("mouse_moved", PER_MS, 1), 1);
  const all = Array.from({ length: 100 }, (_, n) => admitted(`a${n}`, PER_MS, MAX_PER_ACTION)).reduce((sum, each) => sum + each, 0);
  assert.equal(all, MAX_PER_PAGE - MAX_PER_ACTION - 2);
});

test("no parameter of an address leaves but those that are allowed, and never one that sounds secret", () => {
  const at = { origin: "https://s.example", pathname: "/a", search: "?utm_source=x&utm_campaign=y&q=z&session_token=1&email=e" };
  assert.equal(urlOf(at, []), "https://s.example/a");
  assert.equal(urlOf(at, ["utm_*", "session_token", "email"]), "https://s.example/a?utm_source=x&utm_campaign=y");
});

test("a purchase has its order's id", () => {
  const lines = [["7", "r-1"], ["71", "r"], ["7", "r_1"], ["7 ", "r-1"], ["7", "靴"], ["7", "鞄"], ["7", "帽子"], ["x".repeat(99), "y".repeat(99)], ["x".repeat(98), "y".repeat(99)]];
  const ids = lines.flatMap(([order, sku]) => [0, 1].map((nth) => orderId({ order_id: order, sku }, nth)));
  assert.equal(new Set(ids).size, 2 * lines.length);
  for (const id of ids) assert.match(id ?? "", /^[\w.:-]{1,64}$/);
  assert.equal(orderId({ order_id: 7, sku: 5 }), orderId({ order_id: "7", sku: "5" }));
  assert.equal(orderId({ sku: "r-1" }), "");
});

test("a purchase that the page's own call tells has its order's id, the same on a reload", () => {
  const told = (form: Form): string[] => [{ sku: "r", value: 20 }, { sku: "r", value: "80,00" }, { sku: "t" }, { sku: "r", value: "20.00" }, {}].map((line) => form("product_bought", { order_id: 7, ...line }, "")[1]);
  const ids = told(forming());
  assert.deepEqual(ids, told(forming()));
  assert.deepEqual(ids.slice(0, 2), [0, 1].map((nth) => orderId({ order_id: "7", sku: "r" }, nth)), "two variants of one product are two lines");
  assert.equal(ids[3], ids[0], "what says the same again");
  assert.equal(new Set(ids).size, 4);
  const form = forming();
  assert.deepEqual(form("product_bought", { sku: "r", value: "19,90" }, ""), [{ sku: "r", value: 19.9 }, ""]);
  for (const order_id of ["", null, undefined]) assert.equal(form("product_bought", { order_id }, "")[1], "");
  assert.equal(form("product_added", { order_id: "7" }, "")[1], "");
  assert.equal(form("refunded", { order_id: "7" }, "")[1], "");
  const known = form("product_bought", { order_id: 7, sku: "r", price: 20 }, "o-layers")[1];
  assert.deepEqual([known, form("product_bought", { order_id: 7, sku: "r", value: 20 }, "")[1]], ["o-layers", ids[0]], "a line that the layer told is the call's first");
});

test("prices are numbers however they are written; what is none is none, and never 0", () => {
  const prices: [unknown, number | undefined][] = [
    ["1.234,50", 1234.5], ["1,234.50", 1234.5], ["19,90 €", 19.9], ["79,50", 79.5], ["1.234", 1234], ["1,234", 1234], ["0.125", 0.125], ["0,125", 0.125],
    ["1 234,50", 1234.5], ["1'234.50", 1234.5], ["EUR 1.234.567,89", 1234567.89], ["1,23,456.5", 123456.5], ["$5", 5], ["19,-", 19], ["-3.50", -3.5], ["12345", 12345],
    [".99", 0.99], [",50 €", 0.5], ["1,234.567", 1234.567], ["1.234,567", 1234.567], ["1’234.50", 1234.5], ["Rs.499", 499], ["Rs. 1,299.00", 1299], ["kr.19,50", 19.5],
    ["−12,50", -12.5], ["–12,50", -12.5], ["-$12.50", -12.5], ["- 12,50 €", -12.5], ["€ -12,50", -12.5], ["(12.50)", -12.5], ["-Rs.499", -499], ["T-shirt 12.50", 12.5], ["-.99", -0.99], ["($1,234.50)", -1234.5],
    ["0", 0], [0, 0], [1.234, 1.234], ["1.2345", 1.2345], ["1.234.567", 1234567],
    ["", undefined], [null, undefined], [undefined, undefined], ["free", undefined], ["2 for 5", undefined], ["5-10", undefined], ["-", undefined], [".", undefined], ["(sold out)", undefined], [NaN, undefined], [true, undefined], [{}, undefined],
  ];
  for (const [text, number] of prices) assert.equal(numberOf(text), number, String(text));
  assert.deepEqual(shaped({ sku: 731, order_id: 7, price: "19,90 €", value: "", quantity: "many" }), { sku: "731", order_id: "7", price: 19.9, quantity: "many" });
});

test("of what a page says, what can be told is told", () => {
  const circle: Record<string, unknown> = { n: 1 };
  circle["self"] = circle;
  const odd = { circle, big: 10n ** 20n, far: 1e20, date: new Date(0), bad: new Date(NaN), not: undefined, task() {}, list: [1, undefined, "x"], get no(): number { throw new Error("no"); }, "jo@x.example": "half \ud800" };
  assert.deepEqual(plain(odd), { circle: { n: 1 }, big: "100000000000000000000", far: "100000000000000000000", date: "1970-01-01T00:00:00.000Z", list: [1, "x"], "…": "half " });
  for (const none of [null, undefined, 7, "text", () => 1]) assert.deepEqual(plain(none), {});
  assert.deepEqual(plain(["a", "b"]), { 0: "a", 1: "b" });
  assert.deepEqual(plain({ ["n".repeat(300)]: "a\0b" }), { ["n".repeat(256)]: "ab" });
  const hostile = new Proxy({}, { ownKeys() { throw new Error("no"); } });
  assert.deepEqual(plain(hostile), {});
  assert.ok(JSON.stringify(plain({ text: "x".repeat(99_999), more: "y", list: Array.from({ length: 9_999 }, () => "z") })).length <= 10_000);
});

test("numbers of cards are masked, other numbers are not", () => {
  for (const card of ["4111 1111 1111 1111", "4111111111111111", "5555-5555-5555-4444", "378282246310005", "3782 822463 10005", "30569309025904", "n:4111.1111.1111.1111!", "4111\u00a01111\u00a01111\u00a01111", "4111\u20091111\u20091111\u20091111", "4111\u202f1111\u202f1111\u202f1111", "4111\u200b1111\u200b1111\u200b1111", "41111 11111 11111 1", "41111.11111.11111.1", "411111-1111111111", "411111 111111 1111", "41111111 11111111", "4111 - 1111 - 1111 - 1111".replace(/ - /g, " -"), "4111/1111/1111/1111", "4111_1111_1111_1111", "4111·1111·1111·1111", "4111‑1111‑1111‑1111", "4111—1111—1111—1111", "4111*1111*1111*1111", "37828 22463 10005"]) assert.match(masked(card), /^\D*…\D*$/, card);
  for (const none of ["iphone 15 256 gb", "978-3-16-148410-0", "9783161484100", "4111 1111 1111 1112", "+49 170 1234567", "353879234252633", "20261129 1200", "2026-11-29 12:00:00.000", "41111 11111 11111 2", "411111 111111 1112", "DE89 3704 0044 0532 0130 00", "+1 415 555 2671, +1 415 555 2672", "10.0.0.12:8443", "4111-1111", "52.520008, 13.404954", "order 4711 of 3512 in 24 h"]) assert.equal(masked(none), none);
  for (const [text, wanted] of [["4111 1111 1111 1111 123", "… 123"], ["4111111111111111 12/27", "… 12/27"], ["3782 822463 10005 1234", "… 1234"], ["41111 11111 11111 1, 999", "…, 999"], ["25 4111 1111 1111 1111", "25 …"], ["3782 822463 10005 12345678", "… 12345678"], ["4111 1111 1111 111112/27", "…12/27"], ["3782\n822463\n10005\n1234", "…\n1234"], ["4111 1111 1111 1111 5555 5555 5555 4444", "… …"]]) assert.equal(masked(text as string), wanted);
  for (const card of ["41 11 11 11 11 11 11 11", "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "55-55-55-55-55-55-44-44", "37 82 82 24 63 10 00 5", "3.7.8.2.8.2.2.4.6.3.1.0.0.0.5", "30 56 93 09 02 59 04", "41\u00a011\u00a011\u00a011\u00a011\u00a011\u00a011\u00a011", "4  1  1  1  1  1  1  1  1  1  1  1  1  1  1  1", "n:41/11/11/11/11/11/11/11!"]) assert.match(masked(card), /^[^\d]*…[^\d]*$/, card);
  for (const none of ["41 11 11 11 11 11 11 12", "9 7 8 3 1 6 1 4 8 4 1 0 0", "97 83 16 14 84 10 0", "06 12 34 56 78 06 12 34 56 78", "+33 6 12 34 56 78", "50 52 54 56 58 60 62 64", "41 42 43 44 45 46 47 48", "26-11-30 10:32:28 22 59", "4, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1", "41,11,11,11,11,11,11,11", "5 5 4 4 5", "4 x 11 11 11 11", "a41 11 11 11 11 11 11 11"]) assert.equal(masked(none), none);
  for (const [text, wanted] of [["41 11 11 11 11 11 11 11 12 27 123", "… 12 27 123"], ["37 82 82 24 63 10 00 5 12 27", "… 12 27"], ["3 7 8 2 8 2 2 4 6 3 1 0 0 0 5 1 2 2 7", "… 1 2 2 7"], ["3 0 5 6 9 3 0 9 0 2 5 9 0 4 1 2 2 7", "… 1 2 2 7"], ["2 of 41 11 11 11 11 11 11 11, 12/27", "2 of …, 12/27"]]) assert.equal(masked(text as string), wanted);
  assert.equal(masked("4111111111111111", true), "4111111111111111");
});

test("texts are cut at whole characters", () => {
  assert.equal(cut("x".repeat(199) + "😀y", 200), `${"x".repeat(199)}😀`);
  assert.equal(cut("ab", 3), "ab");
});

test("of a configuration only lists of plain values count, and nonsense is none", () => {
  assert.deepEqual({ ...captureOf('{"capture": {"key_pressed": ["Escape", 7, {}, null], "x": "no", "y": null}}') }, { key_pressed: ["Escape", 7] });
  for (const nonsense of ["null", "7", "<html>", "", "{}", '{"capture": []}', '{"capture": "x"}', '{"capture": null}']) assert.equal(captureOf(nonsense), undefined);
});

type Answers = () => Promise<string>;
const asking = (answers: Answers, clock: { now: number }, kept: { text: string }): Asked =>
  askedOf(pageWith(clock, kept), async (_, answered) => answers().then(answered, () => undefined));

function pageWith(clock: { now: number }, kept: { text: string }): Page {
  const page: Partial<Page> = { settings: {} as Page["settings"], now: () => clock.now, remember: (_, text) => (kept.text = text ?? kept.text) };
  return page as Page;
}
const settled = (): Promise<void> => new Promise((done) => setImmediate(done));

test("what is asked for is kept for five minutes, and outlives a collector that is away", async () => {
  const clock = { now: 1_000_000_000_000 };
  const kept = { text: "" };
  let asked = 0;
  const said = async (): Promise<string> => ((asked += 1), '{"capture":{"key_pressed":["a"]}}');
  const first = asking(said, clock, kept);
  assert.equal(first("key_pressed"), undefined);
  await settled();
  assert.deepEqual(first("key_pressed"), ["a"]);
  assert.equal(first("toString"), undefined);
  clock.now += FRESH_MS - 1;
  assert.deepEqual(asking(said, clock, kept)("key_pressed"), ["a"]);
  await settled();
  assert.equal(asked, 1);
  clock.now += 1;
  for (const trouble of [() => Promise.reject(new Error("away")), async () => "<html>"]) {
    const away = asking(trouble, clock, kept);
    await settled();
    assert.deepEqual(away("key_pressed"), ["a"]);
  }
  for (const text of ["{", '[1700000000000,{"capture":{"key_pressed":["a"]}}]']) assert.equal(asking(said, clock, { text })("key_pressed"), undefined);
});

test("no name that the build shortens is one of the platform's", () => {
  const platform = readFileSync("node_modules/typescript/lib/lib.dom.d.ts", "utf8");
  const taken = (INTERNAL as string[]).filter((name) => new RegExp(`^    (?:readonly )?${name}\\??[:(]`, "m").test(platform));
  assert.deepEqual(taken, []);
});

test("what is shipped never does what a page's visitor would feel", () => {
  for (const name of ["dist/segma.js", "dist/loader.js", "dist/index.mjs"]) {
    const text = readFileSync(name, "utf8");
    for (const never of [/XMLHttpRequest/, /["'`]unload["'`]/, /beforeunload/, /preventDefault/, /stopPropagation/, /\beval\(/, /new Function/, /innerHTML/, /document\.cookie/, /getComputedStyle/]) {
      assert.doesNotMatch(text, never, name);
    }
  }
});
