// `node sizes.mjs [--against REF]`: what each part weighs after gzip -9, and the change against another revision.
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { gzipSync } from "node:zlib";
import { renamed } from "./names.mjs";
import { FEATURES } from "./parts.mjs";

/** Bytes after gzip -9 that a build may have: the core, with page views, the email's click and own actions; and everything. */
export const LIMITS = { core: 6_144, everything: 12_288 };

const packed = (text) => gzipSync(text, { level: 9 }).length;
const weight = (file) => (existsSync(file) ? packed(readFileSync(file)) : undefined);

/** Part → bytes, of what was built in a directory: the core, each feature beside it and clicks, the loader, everything. */
export async function sizes(root = ".") {
  const built = (name) => weight(join(root, "dist", name));
  const [core, clicks] = [built("sets/bare.js"), built("sets/clicks.js")];
  // NOTE: only the core and everything have letters of their own: what a part adds is told without these.
  const found = { core, clicks: clicks - packed(renamed(readFileSync(join(root, "dist", "sets/bare.js"), "utf8"))) };
  for (const part of FEATURES.slice(1)) found[part] = built(`sets/${part}.js`) - clicks;
  return { ...found, everything: built("segma.js"), loader: built("loader.js"), module: built("index.mjs") };
}

async function at(revision) {
  const root = mkdtempSync(join(tmpdir(), "segma-sizes-"));
  try {
    const archive = execFileSync("git", ["archive", revision, "."], { maxBuffer: 1 << 28, stdio: ["ignore", "pipe", "ignore"] });
    execFileSync("tar", ["-x", "-C", root], { input: archive });
    symlinkSync(resolve("node_modules"), join(root, "node_modules"));
    execFileSync("node", ["build.mjs"], { cwd: root, stdio: "ignore" });
    return await sizes(root);
  } catch {
    return undefined;
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

if (process.argv[1]?.endsWith("sizes.mjs")) {
  const named = process.argv.indexOf("--against");
  const revision = named > 0 ? process.argv[named + 1] : "main";
  const [now, before] = [await sizes(), await at(revision)];
  console.log(`gzip -9, bytes${before ? `; change against ${revision}` : ` (${revision} cannot be built here: no change is shown)`}`);
  for (const [name, bytes] of Object.entries(now)) {
    const change = before?.[name] ? bytes - before[name] : undefined;
    const limit = LIMITS[name] ? `of ${LIMITS[name]}` : "";
    console.log(`  ${name.padEnd(12)}${String(bytes).padStart(7)} ${limit.padEnd(9)}${change === undefined ? "" : `${change < 0 ? "" : "+"}${change}`}`);
  }
  const over = Object.entries(LIMITS).filter(([name, limit]) => now[name] > limit);
  for (const [name, limit] of over) console.error(`${name} weighs more than ${limit} bytes`);
  process.exitCode = over.length ? 1 : 0;
}
