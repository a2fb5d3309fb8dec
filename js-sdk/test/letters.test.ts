import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
// @ts-expect-error: a script without types
import { calledBy, lettersFor, outdated } from "../letters.mjs";
// @ts-expect-error: a script without types
import { renamed } from "../names.mjs";

const TEXT = renamed(`(() => {
  const sum = (list, of = 1) => list.reduce((one, other) => { let both = one + other * of; return both; }, 0);
  const made = ({ list, ...rest }) => { try { return [sum(list, 2), rest]; } catch (error) { return error; } };
  const named = { sum, made };
  for (let at = 0; at < 3; at += 1) { const at2 = at; named["at" + at] = () => at2 + sum([at]); }
  globalThis.told = [made({ list: [1, 2], more: 3 }), named.at1(), named.at2(), Object.keys(named)];
})();`) as string;

const toldBy = (text: string): unknown => {
  new Function(text)();
  return (globalThis as { told?: unknown }).told;
};

test("a script says the same under the letters that were found for it, in every run the same", () => {
  const letters = lettersFor(TEXT, 400) as string[];
  assert.deepEqual(lettersFor(TEXT, 400), letters);
  const text = calledBy(TEXT, letters) as string;
  assert.notEqual(text, TEXT);
  assert.deepEqual(toldBy(text), toldBy(TEXT));
  assert.deepEqual(toldBy(TEXT), [[6, { more: 3 }], 2, 4, ["sum", "made", "at0", "at1", "at2"]]);
});

test("names under which one stands for another are refused", () => {
  const text = renamed("(() => { const one = 1; globalThis.told = (two) => one + two; })();") as string;
  assert.throws(() => calledBy(text, ["e", "e"]), /something else/);
});

test("the letters that are kept were found for the scripts as they are: `npm run letters` finds them anew", () => {
  assert.deepEqual(outdated((name: string) => readFileSync(`dist/${name}`, "utf8")), []);
});
