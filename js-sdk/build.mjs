// `node build.mjs`: everything that is shipped. `--tests`: build/*.test.js for node's test runner.
//
//   dist/segma.js          one file with every feature, for a script tag
//   dist/segma.source.js   the same, to be read
//   dist/sets/NAMES.js     the core with other features; NAMES in the alphabet's order, joined by `+`
//                          (`clicks.js`: the core, which has clicks; `bare.js`: no feature at all)
//   dist/index.mjs         the module, with dist/types
//   dist/loader.js         the snippet for a page's head
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { build } from "esbuild";
import { minify } from "terser";
import { FEATURES, INTERNAL } from "./parts.mjs";

const common = { bundle: true, target: "es2022", charset: "utf8", logLevel: "warning" };
const mangleProps = new RegExp(`^(${INTERNAL.join("|")})$`);
// NOTE: nothing of ours calls a method as a constructor or looks at `this`: what is called unsafe is safe here.
const small = { ecma: 2022, compress: { ecma: 2022, passes: 4, hoist_funs: true, unsafe_arrows: true, unsafe_methods: true }, format: { ecma: 2022 } };

/** The script with these features, as text; readable, or as it is shipped. */
export async function scriptWith(features, { readable = false } = {}) {
  const imports = features.map((name) => `import { ${name} } from "./src/features/${name}";`).join("\n");
  const contents = `import { boot } from "./src/script";\n${imports}\nboot([${features.join(", ")}]);`;
  const stdin = { contents, resolveDir: "." };
  const shortened = readable ? {} : { mangleProps, minifySyntax: true };
  const made = await build({ ...common, ...shortened, format: "iife", write: false, stdin });
  const text = made.outputFiles[0].text;
  return readable ? text : (await minify(text, small)).code;
}

function subsets(names) {
  return names.reduce((sets, name) => [...sets, ...sets.map((set) => [...set, name])], [[]]);
}

async function shipped() {
  rmSync("dist/sets", { recursive: true, force: true });
  mkdirSync("dist/sets", { recursive: true });
  const [clicks, ...others] = FEATURES;
  const sets = subsets(others).map((set) => [clicks, ...set]);
  await Promise.all([
    ...sets.map(async (set) => writeFileSync(`dist/sets/${set.slice(1).join("+") || clicks}.js`, await scriptWith(set))),
    scriptWith([]).then((text) => writeFileSync("dist/sets/bare.js", text)),
    scriptWith(FEATURES).then((text) => writeFileSync("dist/segma.js", text)),
    scriptWith(FEATURES, { readable: true }).then((text) => writeFileSync("dist/segma.source.js", text)),
  ]);
  await build({ ...common, entryPoints: ["src/index.ts"], format: "esm", outfile: "dist/index.mjs" });
  const contents = 'import { load } from "./src/stub"; load("COLLECTOR/sdk/segma.js", { site: "KEY" });';
  await build({ ...common, minify: true, format: "iife", outfile: "dist/loader.js", stdin: { contents, resolveDir: "." } });
}

async function tests() {
  rmSync("build", { recursive: true, force: true });
  const entryPoints = readdirSync("test").map((name) => `test/${name}`);
  await build({ ...common, entryPoints, platform: "node", format: "esm", target: "node20", outdir: "build" });
}

if (process.argv[1]?.endsWith("build.mjs")) {
  await shipped();
  if (process.argv.includes("--tests")) await tests();
}
