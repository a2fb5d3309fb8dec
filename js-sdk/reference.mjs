// Writes `docs/reference/sdk.md` from the doc comments of what the module exports: `npm run reference`. With `--check` it
// writes nothing, and ends with 1 where the page does not say what the source says.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Application } from "typedoc";

const PAGE = join(import.meta.dirname, "..", "docs", "reference", "sdk.md");
const HEAD = `# The SDK's module

<!-- Made from the source by \`npm run reference\` in \`js-sdk\`; change the doc comments there instead. -->

What \`import … from "segma"\` gives, with its types. What is captured, and the script tag: [the browser SDK](../sdk.md).

`;

/** The page as the source says it; ends the process where something that is exported is not documented. */
async function written(folder) {
  const app = await Application.bootstrapWithPlugins({
    entryPoints: [join(import.meta.dirname, "src", "index.ts")],
    tsconfig: join(import.meta.dirname, "tsconfig.build.json"),
    plugin: ["typedoc-plugin-markdown"],
    outputs: [{ name: "markdown", path: folder }],
    readme: "none",
    disableSources: true,
    validation: { notExported: true, invalidLink: true, notDocumented: true },
    logLevel: "Warn",
    skipErrorChecking: true, // `tsc` has checked it
    locales: { en: { kind_plural_property: "Fields", kind_plural_variable: "Features" } }, // one heading is called Properties
    sort: ["source-order"],
    groupOrder: ["Functions", "Features", "Interfaces", "Type Aliases"],
    outputFileStrategy: "modules",
    hidePageHeader: true,
    hidePageTitle: true,
    hideBreadcrumbs: true,
    useCodeBlocks: true,
    expandObjects: true,
    parametersFormat: "table",
    interfacePropertiesFormat: "table",
  });
  const project = await app.convert();
  if (project) app.validate(project);
  if (!project || app.logger.hasErrors() || app.logger.hasWarnings()) process.exit(1);
  await app.generateOutputs(project);
  return HEAD + (await readFile(join(folder, "README.md"), "utf8"));
}

const folder = await mkdtemp(join(tmpdir(), "segma-reference-"));
const text = await written(folder).finally(() => rm(folder, { recursive: true }));
if (!process.argv.includes("--check")) await writeFile(PAGE, text);
else if (text !== (await readFile(PAGE, "utf8"))) {
  console.error("docs/reference/sdk.md is not what the source says: npm run reference");
  process.exit(1);
}
