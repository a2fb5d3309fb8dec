import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
// @ts-expect-error: a script without types
import { LIMITS, sizes } from "../sizes.mjs";

test("the core and everything stay within their sizes", async () => {
  const found = (await sizes()) as Record<string, number>;
  for (const [name, limit] of Object.entries(LIMITS as Record<string, number>)) assert.ok((found[name] ?? Infinity) <= limit, `${name}: ${found[name]} of ${limit} bytes`);
});

test("each script is there packed, under its hash, and nothing else is", () => {
  const scripts = ["segma.js", "segma.source.js", ...readdirSync("dist/sets").map((name) => `sets/${name}`)].map((name) => readFileSync(`dist/${name}`));
  const wanted = scripts.flatMap((script) => {
    const name = createHash("sha256").update(script).digest("hex").slice(0, 16);
    assert.ok(brotliDecompressSync(readFileSync(`dist/packed/${name}.br`)).equals(script));
    assert.ok(gunzipSync(readFileSync(`dist/packed/${name}.gz`)).equals(script));
    return [`${name}.br`, `${name}.gz`];
  });
  assert.deepEqual(readdirSync("dist/packed").sort(), [...new Set(wanted)].sort());
});
