// Gives the names of a finished script the letters under which gzip finds most to repeat, which no rule tells: they are tried.
//
// What was found is kept in `letters.json`, with the sum of the text that it was found for; `npm run letters` finds anew,
// as a change of the source makes it necessary. Who only builds tries nothing.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { LETTERS, WORDS, parsed, renamed, writing } from "./names.mjs";

const KEPT = "letters.json";
/** So many letters stand first in most names of two. */
const OFTEN = 3;

const kept = () => JSON.parse(readFileSync(KEPT, "utf8"));
const sumOf = (text) => createHash("sha256").update(text).digest("hex").slice(0, 16);

/** The files whose letters were found for another text than the one that they have. */
export const outdated = (textOf) => Object.entries(kept()).flatMap(([name, { of }]) => (of === sumOf(renamed(textOf(name))) ? [] : [name]));

/** A text made by `renamed`, with the letters that were found for it; as it is where none were. */
export function lettered(text, name) {
  const { of, letters } = kept()[name] ?? {};
  return of === sumOf(text) ? calledBy(text, letters.split(" ")) : text;
}

/** A text made by `renamed` with other names, in the order of its bindings. Throws where it would do something else so. */
export function calledBy(text, letters) {
  const { root, places } = parsed(text);
  for (const [at, binding] of bindingsIn(root).entries()) binding.now = letters[at];
  const out = writing(text, places)();
  if (renamed(out) !== text) throw new Error("under these names a script does something else");
  return out;
}

/** Finds letters for texts made by `renamed`, by the file's name, with so many tries each; goes on from what is kept. */
export function keep(texts, tries) {
  const found = Object.entries(texts).map(([name, text]) => {
    const { of, letters } = kept()[name] ?? {};
    const begun = of === sumOf(text) ? letters.split(" ") : undefined;
    return [name, { of: sumOf(text), letters: lettersFor(text, tries, begun).join(" ") }];
  });
  writeFileSync(KEPT, `${JSON.stringify(Object.fromEntries(found), null, 1)}\n`);
}

/**
 * Letters for the text's bindings, in their order, after so many tries: one name is exchanged for another, with whatever has
 * that already, and stays so unless the text is larger for it. The same beginning has the same end.
 */
export function lettersFor(text, tries, begun) {
  const { root, places } = parsed(text);
  const bindings = rivalling(root);
  for (const [at, binding] of bindings.entries()) binding.now = begun?.[at] ?? binding.name;
  const oneOf = chance(Number.parseInt(sumOf(bindings.map(({ now }) => now).join(" ")).slice(0, 8), 16));
  const write = writing(text, places);
  const weight = () => packed(write());
  let least = weight();
  for (let left = tries; left > 0; left -= 1) {
    const binding = oneOf(bindings);
    const undo = exchanged(binding, likely(binding, oneOf));
    const now = undo ? weight() : least;
    if (now > least) undo();
    else least = now;
  }
  return bindings.map(({ now }) => now);
}

/** What the text weighs, in bytes: packed by Node's zlib and by GNU's gzip, of which now one and now the other makes more. */
function packed(text) {
  const gnu = spawnSync("gzip", ["-9n"], { input: text }).stdout?.length ?? 0;
  const node = gzipSync(text, { level: 9 }).length;
  return Math.max(node, gnu) + (node + gnu) / 100_000;
}

const bindingsIn = (scope) => [...scope.names.values(), ...scope.inner.flatMap(bindingsIn)];

/** All bindings; each knows which others it must not be called like, and the names that it must not have. */
function rivalling(root) {
  const bindings = bindingsIn(root);
  for (const binding of bindings) [binding.rivals, binding.foreign] = [new Set(), new Set(WORDS)];
  const inScope = (scope) => {
    const own = [...scope.names.values()];
    for (const binding of own) {
      for (const other of [...own, ...scope.outer]) if (other !== binding) binding.rivals.add(other), other.rivals.add(binding);
      for (const name of scope.globals) binding.foreign.add(name);
      binding.siblings = own;
    }
    scope.inner.forEach(inScope);
  };
  inScope(root);
  return bindings;
}

/** A name that may be a better one: a sibling's, or one of as many letters. */
function likely({ now, siblings }, oneOf) {
  if (oneOf([true, false])) return oneOf(siblings).now;
  if (now.length > 1) return oneOf(LETTERS.slice(0, OFTEN)) + oneOf(LETTERS);
  return oneOf(oneOf([LETTERS, LETTERS.slice(0, 4 * OFTEN)]));
}

/** Gives a binding a name, and its own to those rivals that have that one; what undoes it, undefined where it cannot be. */
function exchanged(binding, name) {
  const old = binding.now;
  const holders = [...binding.rivals].filter(({ now }) => now === name);
  const undo = () => {
    binding.now = old;
    for (const each of holders) each.now = name;
  };
  binding.now = name;
  for (const each of holders) each.now = old;
  const fits = ({ now, rivals, foreign }) => !foreign.has(now) && ![...rivals].some((other) => other.now === now);
  if (name !== old && [binding, ...holders].every(fits)) return undo;
  undo();
  return undefined;
}

/** Chooses one of a list each time, in the same way from the same state on. */
function chance(state) {
  return (list) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return list[Math.floor((state / 2 ** 32) * list.length)];
  };
}
