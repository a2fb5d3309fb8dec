// `node build.mjs [FOLDER]`: the editor in one file, with the licences of all that it holds, into the console's static files.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

const LICENCES = "editor.licences.txt";
const folder = process.argv[2] ?? "../static";
const made = await build({
  entryPoints: ["src/editor.ts"],
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  metafile: true,
  logLevel: "warning",
  banner: { js: `// Of Segma, and of others: /static/${LICENCES}. Made by console/editor/build.mjs.` },
  outfile: join(folder, "editor.js"),
});

/** The packages of which a file is in the bundle. */
const inside = Object.keys(made.metafile.inputs).map((path) => /(?:^|\/)node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1]);
const packages = [...new Set(inside.filter(Boolean))].sort();
const told = packages.map((name) => {
  const at = join("node_modules", name);
  const { version, license } = JSON.parse(readFileSync(join(at, "package.json"), "utf8"));
  const file = readdirSync(at).find((each) => /^licen[cs]e/i.test(each));
  return `${name} ${version} (${license})\n\n${readFileSync(join(at, file), "utf8").trim()}\n`;
});
writeFileSync(join(folder, LICENCES), told.join(`\n${"-".repeat(72)}\n\n`));
