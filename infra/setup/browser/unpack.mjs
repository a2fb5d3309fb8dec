// `node unpack.mjs FROM INTO`: the package's files without their brotli, as they are.
// Not by the package's own `executablePath()`: that takes whatever file named `chromium` lies in the temporary folder.
import { createReadStream, createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { createBrotliDecompress } from "node:zlib";

const [from, into] = process.argv.slice(2);
const unpack = (name) => pipeline(createReadStream(`${from}/${name}.br`), createBrotliDecompress(), createWriteStream(`${into}/${name}`));
await Promise.all(["chromium", "al2023.tar", "fonts.tar", "swiftshader.tar"].map(unpack));
