// `node build.mjs`: dist/segma.js, the one file that a page loads. `--tests`: build/*.test.js for node's test runner.
import { readdirSync, rmSync } from "node:fs";
import { build } from "esbuild";

await build({
  entryPoints: ["src/main.ts"],
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2020",
  outfile: "dist/segma.js",
  logLevel: "warning",
});

if (process.argv.includes("--tests")) {
  rmSync("build", { recursive: true, force: true });
  await build({
    entryPoints: readdirSync("test").map((name) => `test/${name}`),
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    outdir: "build",
    logLevel: "warning",
  });
}
