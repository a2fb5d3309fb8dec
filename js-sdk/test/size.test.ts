import assert from "node:assert/strict";
import { test } from "node:test";
// @ts-expect-error: a script without types
import { LIMITS, sizes } from "../sizes.mjs";

test("the core and everything stay within their sizes", async () => {
  const found = (await sizes()) as Record<string, number>;
  for (const [name, limit] of Object.entries(LIMITS as Record<string, number>)) assert.ok((found[name] ?? Infinity) <= limit, `${name}: ${found[name]} of ${limit} bytes`);
});
