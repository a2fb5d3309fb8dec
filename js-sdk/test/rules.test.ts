import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { askedOf, captureOf, FRESH_MS } from "../src/asked";
import { orderId } from "../src/features/clicks";
import { Automaton, normalised } from "../src/features/keys";
import { guard, MAX_PER_ACTION, MAX_PER_PAGE, PER_MS } from "../src/guard";
import { urlOf } from "../src/urls";
import type { Page } from "../src/words";
// @ts-expect-error: a script without types
import { INTERNAL } from "../parts.mjs";

const letters = (text: string): string[] => [...text];
const fed = (automaton: Automaton, text: string, patterns: string[]): string[] => letters(text).flatMap((each) => automaton.take(each, patterns));

test("patterns are found wherever they begin, also in themselves, and each for itself", () => {
  const patterns = ["aab", "ab", "b"];
  assert.deepEqual(fed(new Automaton(letters), "aaab", patterns), ["aab", "ab", "b"]);
  assert.deepEqual(fed(new Automaton(letters), "abab", ["abab", "bab"]), ["abab", "bab"]);
  assert.deepEqual(fed(new Automaton(letters), "ac", patterns), []);
});

test("the automaton finds what a search of the whole text finds", () => {
  let seed = 7;
  const next = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below;
  for (let round = 0; round < 300; round += 1) {
    const word = (length: number): string => Array.from({ length }, () => "ab"[next(2)]).join("");
    const patterns = [...new Set([word(1 + next(4)), word(1 + next(4)), word(1 + next(4))])];
    const text = word(20);
    const wanted = letters(text).flatMap((_, at) => patterns.filter((each) => text.slice(0, at + 1).endsWith(each)));
    assert.deepEqual(fed(new Automaton(letters), text, patterns), wanted);
  }
});

test("a pattern that is asked for later begins then; a forgotten one begins anew; an empty one is never found", () => {
  const automaton = new Automaton(letters);
  automaton.take("a", ["ab"]);
  assert.deepEqual(automaton.take("b", ["ab", "b", ""]), ["ab", "b"]);
  automaton.take("a", ["ab"]);
  automaton.forget();
  assert.deepEqual(automaton.take("b", ["ab"]), []);
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
  assert.equal(orderId("product_bought", { order_id: "T 7/é", sku: "r-1" }), "o-T_7__-r-1");
  assert.equal(orderId("product_bought", { sku: "r-1" }), undefined);
  assert.equal(orderId("product_added", { order_id: "7" }), undefined);
  assert.ok((orderId("product_bought", { order_id: "x".repeat(99), sku: "y" }) ?? "").length <= 64);
});

test("of a configuration only lists of plain values count, and nonsense is none", () => {
  assert.deepEqual(captureOf({ capture: { key_pressed: ["Escape", 7, {}, null], x: "no", y: null } }), { key_pressed: ["Escape", 7] });
  for (const nonsense of [null, 7, "<html>", {}, { capture: [] }, { capture: "x" }]) assert.equal(captureOf(nonsense), undefined);
});

function pageThat(answers: () => Promise<unknown>, clock: { now: number }, kept: { text: string }): Page {
  const page: Partial<Page> = { ask: answers, now: () => clock.now, remember: (_, text) => (kept.text = text ?? kept.text) };
  return page as Page;
}
const settled = (): Promise<void> => new Promise((done) => setImmediate(done));

test("what is asked for is kept for five minutes, and outlives a collector that is away", async () => {
  const clock = { now: 1_000_000_000_000 };
  const kept = { text: "" };
  let asked = 0;
  const said = async (): Promise<unknown> => ((asked += 1), { capture: { key_pressed: ["a"] } });
  const first = askedOf(pageThat(said, clock, kept));
  assert.equal(first("key_pressed"), undefined);
  await settled();
  assert.deepEqual(first("key_pressed"), ["a"]);
  assert.equal(first("toString"), undefined);
  clock.now += FRESH_MS - 1;
  assert.deepEqual(askedOf(pageThat(said, clock, kept))("key_pressed"), ["a"]);
  await settled();
  assert.equal(asked, 1);
  clock.now += 1;
  for (const trouble of [() => Promise.reject(new Error("away")), async () => "<html>"]) {
    const away = askedOf(pageThat(trouble, clock, kept));
    await settled();
    assert.deepEqual(away("key_pressed"), ["a"]);
  }
  assert.equal(askedOf(pageThat(said, clock, { text: "{" }))("key_pressed"), undefined);
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
