import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

test("the core stays under 6 KB gzipped", () => {
  const size = gzipSync(readFileSync("dist/segma.js"), { level: 9 }).length;
  assert.ok(size <= 6_000, `${size} bytes`);
});
