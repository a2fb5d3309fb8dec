#!/usr/bin/env bash
# Falcon 4.4.0, falcon.testing: the ASGI scope of a simulated request holds its headers, and each name and value, as
# iterators that can be read once; Uvicorn 0.54.0 hands lists of pairs over.
#
# An ASGI layer in front of the application that looks at one header (valid by ASGI, which says "iterable") leaves none to
# the application behind it: the simulated request ends in a ValueError, or reaches the resource without its headers. The
# same layer, served by Uvicorn, changes nothing. So such a layer has to lay the pairs into the scope anew, as tuples.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q --disable-pip-version-check install falcon==4.4.0 uvicorn==0.54.0
cat >"$work/layer.py" <<'PY'
import asyncio, socket, threading, urllib.request
import falcon.asgi, falcon.testing, uvicorn

class Resource:
    async def on_get(self, req, resp):
        resp.text = req.get_header("X-Mark") or "no header"

behind = falcon.asgi.App()
behind.add_route("/", Resource())
kinds = {}

class Layer(falcon.asgi.App):
    where, again = "", False

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            pairs = scope["headers"]
            kinds[self.where] = type(pairs).__name__
            read = [tuple(pair) for pair in pairs]
            if self.again:
                scope["headers"] = read
        await behind(scope, receive, send)

layer = Layer()

def simulated():
    layer.where = "falcon.testing"
    try:
        return falcon.testing.TestClient(layer).simulate_get("/", headers={"X-Mark": "there"}).text
    except ValueError as error:
        return f"ValueError: {error}"

def served():
    layer.where = "uvicorn"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(layer, port=port, log_level="warning"))
    started = threading.Event()
    startup = server.startup
    async def told(*args, **kwargs):
        await startup(*args, **kwargs)
        started.set()
    server.startup = told
    thread = threading.Thread(target=server.run)
    thread.start()
    started.wait(20)
    asked = urllib.request.Request(f"http://127.0.0.1:{port}/", headers={"X-Mark": "there"})
    with urllib.request.urlopen(asked, timeout=10) as answer:
        text = answer.read().decode()
    server.should_exit = True
    thread.join()
    return text

print("by uvicorn 0.54.0:", served(), "| headers are a", kinds["uvicorn"])
print("by falcon.testing 4.4.0:", simulated(), "| headers are a", kinds["falcon.testing"])
layer.again = True
print("the same, pairs laid into the scope anew:", simulated())
PY
"$work/venv/bin/python" "$work/layer.py" | tee "$work/said"
grep -q '^by uvicorn 0.54.0: there | headers are a list$' "$work/said" &&
    ! grep -q '^by falcon.testing 4.4.0: there ' "$work/said" &&
    grep -q '^the same, pairs laid into the scope anew: there$' "$work/said" || { echo "this has changed" >&2; exit 1; }
