// `node build.mjs`: everything that is shipped. `--tests`: build/*.test.js for node's test runner. `--letters`: only find letters.
//
//   dist/segma.js          one file with every feature, for a script tag
//   dist/segma.source.js   the same, to be read
//   dist/sets/NAMES.js     the core with other features; NAMES in the alphabet's order, joined by `+`
//                          (`clicks.js`: the core, which has clicks; `bare.js`: no feature at all)
//   dist/packed/HASH.br    each of these scripts packed, also as .gz, under the first 16 digits of its SHA-256
//   dist/index.mjs         the module, with dist/types
//   dist/loader.js         the snippet for a page's head
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { Worker, isMainThread, parentPort, threadId } from "node:worker_threads";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { minify as minifyFast } from "@swc/core";
import { build } from "esbuild";
import { minify } from "terser";
import { keep, lettered } from "./letters.mjs";
import { renamed } from "./names.mjs";
import { natives } from "./natives.mjs";
import { FEATURES, INTERNAL } from "./parts.mjs";

const common = { bundle: true, target: "es2022", charset: "utf8", logLevel: "warning" };
const shippedBy = { ...common, plugins: [natives()] };
/** So often another name is tried in one run; the next run goes on. */
const TRIES = 10_000;
const mangleProps = new RegExp(`^(${INTERNAL.join("|")})$`);
const compress = { ecma: 2022, passes: 5, keep_fargs: false };
// NOTE: of terser's options that change nothing but the spelling, those that gzip likes.
const spelling = { inline: 1, sequences: false, comparisons: false, unsafe_arrows: true };
const small = { ecma: 2022, compress: { ...compress, ...spelling }, format: { ecma: 2022 } };

/** The script with these features, as text; readable, or as it is shipped (`fast`: 1 % larger, made thirty times as fast). */
export async function scriptWith(features, { readable = false, fast = false } = {}) {
  const imports = features.map((name) => `import { ${name} } from "./src/features/${name}";`).join("\n");
  const contents = `import { boot } from "./src/script";\n${imports}\nboot([${features.join(", ")}]);`;
  const stdin = { contents, resolveDir: "." };
  const shortened = readable ? {} : { mangleProps, minifySyntax: true };
  const made = await build({ ...shippedBy, ...shortened, format: "iife", write: false, stdin });
  const text = made.outputFiles[0].text;
  if (fast) return (await minifyFast(text, { ecma: 2022, compress, mangle: true, module: false })).code;
  return readable ? text : minified(text);
}

const terser = JSON.parse(readFileSync("node_modules/terser/package.json", "utf8")).version;
const rules = JSON.stringify([terser, small, readFileSync("names.mjs", "utf8")]);

/** The text as terser shortens it: a second each, so what it made of the same text before is kept. */
async function minified(text) {
  const kept = `node_modules/.cache/segma/${createHash("sha256").update(rules).update(text).digest("hex")}.js`;
  if (existsSync(kept)) return readFileSync(kept, "utf8");
  const code = renamed((await minify(text, small)).code);
  mkdirSync("node_modules/.cache/segma", { recursive: true });
  const whole = `${kept}.${process.pid}.${threadId}`;
  writeFileSync(whole, code);
  renameSync(whole, kept);
  return code;
}

function subsets(names) {
  return names.reduce((sets, name) => [...sets, ...sets.map((set) => [...set, name])], [[]]);
}

/** Every script, as the file's name, its features and its options. There are 120 with some features but not all. */
function scripts() {
  const [clicks, ...others] = FEATURES;
  const optionsOf = (set) => ({ fast: set.length > 1 && set.length < others.length });
  const sets = subsets(others).map((set) => [`sets/${set.join("+") || clicks}.js`, [clicks, ...set], optionsOf(set)]);
  const whole = [["segma.js", FEATURES], ["segma.source.js", FEATURES, { readable: true }]];
  return [...sets, ["sets/bare.js", []], ...whole];
}

/** Write the scripts, a thread a processor; each takes the next one when it is done with one. */
async function inThreads(jobs) {
  const next = (worker) => worker.postMessage(jobs.pop() ?? null);
  const ended = (worker) => new Promise((resolve, reject) => worker.on("exit", resolve).on("error", reject));
  const workers = Array.from({ length: availableParallelism() }, () => new Worker(new URL(import.meta.url)));
  for (const worker of workers) worker.on("message", () => next(worker)) && next(worker);
  await Promise.all(workers.map(ended));
}

function inThisThread() {
  parentPort.on("message", async (job) => {
    if (job === null) return parentPort.close();
    const [name, features, options] = job;
    const text = lettered(await scriptWith(features, options), name);
    writeFileSync(`dist/${name}`, text);
    pack(text);
    parentPort.postMessage(name);
  });
}

/** Write a script as the collector hands it to whoever takes it packed. */
function pack(text) {
  const name = `dist/packed/${createHash("sha256").update(text).digest("hex").slice(0, 16)}`;
  const best = { [constants.BROTLI_PARAM_MODE]: constants.BROTLI_MODE_TEXT, [constants.BROTLI_PARAM_SIZE_HINT]: text.length };
  writeFileSync(`${name}.br`, brotliCompressSync(text, { params: best }));
  writeFileSync(`${name}.gz`, gzipSync(text, { level: 9 }));
}

async function shipped() {
  for (const folder of ["dist/sets", "dist/packed"]) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
  }
  await inThreads(scripts());
  await build({ ...shippedBy, entryPoints: ["src/index.ts"], format: "esm", outfile: "dist/index.mjs" });
  const contents = 'import { load } from "./src/stub"; load("COLLECTOR/sdk/segma.js", { site: "KEY" });';
  await build({ ...shippedBy, minify: true, format: "iife", outfile: "dist/loader.js", stdin: { contents, resolveDir: "." } });
}

/** Find the letters of those scripts whose size is limited. */
async function findLetters() {
  const texts = { "sets/bare.js": await scriptWith([]), "segma.js": await scriptWith(FEATURES) };
  keep(texts, TRIES);
}

async function tests() {
  rmSync("build", { recursive: true, force: true });
  const entryPoints = readdirSync("test").map((name) => `test/${name}`);
  await build({ ...common, entryPoints, platform: "node", format: "esm", target: "node22", outdir: "build" });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (process.argv.includes("--letters")) {
    await findLetters();
  } else if (isMainThread) {
    await shipped();
    if (process.argv.includes("--tests")) await tests();
  } else {
    inThisThread();
  }
}
