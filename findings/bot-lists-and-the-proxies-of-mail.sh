#!/usr/bin/env bash
# Lists of bots do not agree on who fetches a mail's pictures. Yahoo's proxy is a bot to all four; Google's to
# crawler-user-agents, device_detector and isbot, and somebody's browser to user-agents; Apple's, which calls itself
# `Mozilla/5.0` and nothing more, is a bot to isbot alone. Opens counted by one list are not those counted by the next.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    crawler-user-agents==1.67.0 device_detector==6.5.1 user-agents==2.2.0 ua-parser==1.0.2 ua-parser-builtins==202610
cd "$folder"
npm install --silent --no-audit --no-fund isbot@5.2.3
cat > agents.json <<'JSON'
{"Google": "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
 "Yahoo": "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
 "Apple": "Mozilla/5.0",
 "a phone": "Mozilla/5.0 (Linux; Android 13; CUBOT NOTE 50) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36"}
JSON
cat > said.mjs <<'JS'
import { readFileSync } from "node:fs";
import { isbot } from "isbot";
const agents = JSON.parse(readFileSync("agents.json"));
console.log(JSON.stringify(Object.fromEntries(Object.entries(agents).map(([name, agent]) => [name, isbot(agent)]))));
JS
node said.mjs > isbot.json
"$folder/venv/bin/python" - <<'PYTHON'
import json
import sys
from pathlib import Path

import crawleruseragents
import user_agents
from device_detector import DeviceDetector

agents = json.loads(Path("agents.json").read_text())
by_isbot = json.loads(Path("isbot.json").read_text())
print("crawler-user-agents 1.67.0, device_detector 6.5.1, user-agents 2.2.0 (ua-parser 1.0.2), isbot 5.2.3")
expected = {
    "Google": (True, True, False, True),
    "Yahoo": (True, True, True, True),
    "Apple": (False, False, False, True),
    "a phone": (False, False, False, False),
}
for name, agent in agents.items():
    said = (
        crawleruseragents.is_crawler(agent),
        DeviceDetector(agent).parse().is_bot(),
        user_agents.parse(agent).is_bot,
        by_isbot[name],
    )
    print(f"{name:8} a bot? {said}")
    if said != expected[name]:
        sys.exit("this has changed")
PYTHON
