"""What the browser SDK costs a page, beside the empty page and published SDKs in one run, CPU throttled four times.

``./segma bench sdk`` prints, less the empty page's: synchronous milliseconds a click (mean of 1,000), the time from a
click to the next frame, long tasks, layouts forced inside handlers, heap after 1,000 events; and draws them. The peers
come from npm (``bench/sdk_peers``). Rounds alternate, so that a slow moment of the machine meets all alike.

The heap is taken on a page of its own: 1,000 events by the SDK's own call, 20 every 50 ms, then as long as the peers'
longest batch waits (5 s) and a second, then two forced collections. The empty page gets the same calls of an empty
function. That all of Segma's 1,000 events have reached the server is checked: memory is not bought by dropping them.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
from matplotlib import pyplot
from playwright.sync_api import Browser, CDPSession, Page, sync_playwright
from rich.console import Console
from rich.table import Table

from cli.browser import find_browser

NEEDS: Final = ("browser",)
ROOT: Final = Path(__file__).resolve().parents[1]
PEERS: Final = ROOT / "bench" / "sdk_peers"
RESULTS: Final = ROOT / "bench" / "results"
EMPTY, OURS = "empty page", "segma, everything on"
LIMITS: Final = {"sync_ms": 0.1, "frame_ms": 4.0, "long_tasks": 0, "forced": 0, "heap_kb": 250.0}
THROTTLE: Final = 4
EVENTS: Final = 1_000

PAGE: Final = """<!doctype html><title>Page</title>
<script>
window.spent = 0; window.frames_ = []; window.long = 0; let begun = 0;
const kinds = ["pointerdown", "mousedown", "pointerup", "mouseup", "click"];
for (const kind of kinds) addEventListener(kind, () => { begun = performance.now(); }, true);
new PerformanceObserver((list) => { window.long += list.getEntries().length; }).observe({ type: "longtask" });
</script>%s
<body><div id="filler"></div><div id="deep"></div><script>
for (let n = 0; n < 2000; n += 1) filler.append(Object.assign(document.createElement("p"), { className: `line l${n}` }));
let here = deep;
for (let n = 0; n < 25; n += 1) here = here.appendChild(Object.assign(document.createElement("div"), { className: `d${n}` }));
deep.style.cssText = "position:fixed;top:0;left:0";
here.innerHTML = "<button id='press'><span>Press</span></button>";
here.querySelector("button").addEventListener("click", (event) => { event.currentTarget.title = String(Math.random()); });
for (const kind of kinds) addEventListener(kind, (event) => {
  window.spent += performance.now() - begun;
  if (kind === "click") {
    const { timeStamp } = event;
    requestAnimationFrame(() => { const { port1, port2 } = new MessageChannel(); port1.onmessage = () => window.frames_.push(performance.now() - timeStamp); port2.postMessage(0); });
  }
});
</script></body>"""  # noqa: E501


TELL: Final = """async (count) => {
  const pause = (ms) => new Promise((done) => setTimeout(done, ms));
  for (let at = 0; at < count; at += 1) { window.tell(at); if (at % 20 === 19) await pause(50); }
  await pause(6000);
}"""


SEEN: Final = """(wanted) => new Promise((done) => {
  const look = () => (window.frames_.length >= wanted ? done() : setTimeout(look, 5));
  look();
})"""


class Cost(NamedTuple):
    """One round of one page. Milliseconds a click; the median from click to frame; counts; kilobytes."""

    sync_ms: float
    frame_ms: float
    long_tasks: float
    forced: float
    heap_kb: float


class Server(ThreadingHTTPServer):
    """The pages, the scripts, and a collector that says 204 to everything."""

    daemon_threads = True

    def __init__(self, files: dict[str, tuple[bytes, str]]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = files
        self.told: set[str] = set()
        """The ids of Segma's events of a heap's page."""
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A page that was closed in the middle of an answer is no error here."""


class Handler(BaseHTTPRequestHandler):
    """Isolated pages: only they get clocks of 5 microseconds."""

    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """A page or a script; whatever else a peer asks for is an empty object."""
        content, kind = self.server.files.get(self.path.partition("?")[0], (b"{}", "application/json"))
        self._answer(200, content, kind)

    def do_POST(self) -> None:
        """Events: taken, and forgotten."""
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.path == "/v1/beacons":
            events = json.loads(body)["events"]
            self.server.told |= {each["event_id"] for each in events if each["action"].startswith("event_")}
            self._answer(204, b"", "text/plain")
        else:
            self._answer(200, b'{"status":1,"error":null}', "application/json")

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        for name, value in (
            ("content-type", kind),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-embedder-policy", "require-corp"),
            ("access-control-allow-origin", self.headers.get("origin") or "*"),
            ("access-control-allow-credentials", "true"),
            ("access-control-allow-headers", "content-type"),
        ):
            self.send_header(name, value)
        if status != 204:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        if status != 204:
            self.wfile.write(body)

    def do_OPTIONS(self) -> None:
        """Everything is allowed."""
        self._answer(200, b"", "text/plain")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


def built(work: Path) -> dict[str, bytes]:
    """Page → the script that it loads."""
    npm = shutil.which("npm") or "npm"
    subprocess.run([npm, "ci", "--silent", "--no-audit", "--no-fund"], cwd=PEERS, check=True, stdout=sys.stderr)
    scripts = {EMPTY: b"window.tell = () => {};"}
    ours = (ROOT / "js-sdk" / "dist" / "segma.js").read_bytes()
    scripts[OURS] = ours + b";window.tell = (n) => segma.track(`event_${n % 17}`, { n });"
    for name in ("posthog", "mixpanel", "snowplow"):
        out = work / f"{name}.js"
        command = [str(PEERS / "node_modules" / ".bin" / "esbuild"), f"{name}.js", "--bundle", "--minify"]
        subprocess.run([*command, "--log-level=error", f"--outfile={out}"], cwd=PEERS, check=True)
        version = json.loads((PEERS / "package.json").read_text())["dependencies"]
        known = next(f"{each} {number}" for each, number in version.items() if name in each and "plugin" not in each)
        scripts[known] = out.read_bytes()
    return scripts


@contextmanager
def serving(scripts: dict[str, bytes]) -> Iterator[Server]:
    """The server with a page for each script."""
    server = Server({})
    for number, script in enumerate(scripts.values()):
        tag = f'<script src="/{number}.js" data-site="SITE" data-collector="{server.url}"></script>'
        server.files[f"/{number}.js"] = (script, "text/javascript")
        server.files[f"/{number}"] = ((PAGE % tag).encode(), "text/html")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def pressed(session: CDPSession, times: int) -> None:
    """Real clicks, as the browser's own input."""
    for kind in ["mousePressed", "mouseReleased"] * times:
        point = {"x": 20, "y": 12, "button": "left", "clickCount": 1}
        session.send("Input.dispatchMouseEvent", {"type": kind, **point})


def heap_kb(session: CDPSession) -> float:
    """Kilobytes of JavaScript's heap after two collections: the first leaves what waits to be finalised."""
    for _ in range(2):
        session.send("HeapProfiler.collectGarbage")
    metrics = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    return float(metrics["JSHeapUsedSize"]) / 1_024


def forced_layouts(browser: Browser, page: Page, session: CDPSession) -> int:
    """Styles and layouts computed because a script asked, during twenty clicks."""
    categories = [
        "devtools.timeline",
        "disabled-by-default-devtools.timeline",
        "disabled-by-default-devtools.timeline.stack",
    ]
    browser.start_tracing(page=page, categories=categories)
    pressed(session, 20)
    page.evaluate("new Promise((done) => setTimeout(done, 100))")
    events = json.loads(browser.stop_tracing())["traceEvents"]
    asked = [each for each in events if each["name"] in {"Layout", "UpdateLayoutTree"}]
    stacks = [each.get("args", {}).get("beginData", {}).get("stackTrace") for each in asked]
    return sum(bool(stack) and any(".js" in frame.get("url", "") for frame in stack) for stack in stacks)


@contextmanager
def opened(browser: Browser, url: str) -> Iterator[tuple[Page, CDPSession]]:
    """A page with its script, in a browser's context of its own, CPU throttled."""
    context = browser.new_context(viewport={"width": 800, "height": 600})
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Performance.enable")
    session.send("Emulation.setCPUThrottlingRate", {"rate": THROTTLE})
    page.goto(url)
    page.wait_for_function("() => !!window.tell")
    yield page, session
    context.close()


def clicked(browser: Browser, url: str, clicks: int) -> Cost:
    """One round of one page's clicks."""
    with opened(browser, url) as (page, session):
        pressed(session, 20)  # whatever is compiled or looked up at first
        page.evaluate("() => { window.spent = 0; window.frames_ = []; window.long = 0; }")
        for number in range(1, clicks + 1):
            # NOTE: one at a time, as a person's: in a queue each click would wait for the frames of those before it.
            pressed(session, 1)
            page.evaluate(SEEN, number)
        spent, frames, long_tasks = page.evaluate("[window.spent, window.frames_, window.long]")
        return Cost(spent / clicks, statistics.median(frames), long_tasks, forced_layouts(browser, page, session), 0)


def heap_after_events(browser: Browser, url: str) -> float:
    """Kilobytes of JavaScript's heap after the events, on a page where nothing else has happened."""
    with opened(browser, url) as (page, session):
        page.evaluate(TELL, EVENTS)
        return heap_kb(session)


def measured(browser: Browser, server: Server, at: int, name: str, clicks: int) -> Cost:
    """One round of one page: its clicks, then its heap on a fresh one."""
    url = f"{server.url}/{at}"
    server.told.clear()
    cost = clicked(browser, url, clicks)._replace(heap_kb=heap_after_events(browser, url))
    if name == OURS and len(server.told) != EVENTS:
        raise click.ClickException(f"{len(server.told)} of {EVENTS} events arrived: the heap says nothing")
    return cost


ACROSS: Final[tuple[Callable[[list[float]], float], ...]] = (
    statistics.mean,
    statistics.median,
    max,
    max,
    statistics.median,
)
"""What counts of a figure's rounds: all clicks of all rounds are in the mean, and one round's long task is one."""


def summary(rounds: dict[str, list[Cost]]) -> dict[str, Cost]:
    """Each page over all rounds, less the empty page's of the same round."""
    found = {}
    for name, costs in rounds.items():
        pairs = list(zip(costs, rounds[EMPTY], strict=True))
        found[name] = Cost(*(across([one[at] - base[at] for one, base in pairs]) for at, across in enumerate(ACROSS)))
    return found


def draw(found: dict[str, Cost]) -> Path:
    """One panel a figure."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    figure, panels = pyplot.subplots(1, 3, figsize=(12, 3.2))
    for panel, field in zip(panels, ("sync_ms", "frame_ms", "heap_kb"), strict=True):
        names = [name for name in found if name != EMPTY]
        panel.barh(
            names,
            [getattr(found[name], field) for name in names],
            color=["#1f6b4f", *["#b9c4bd"] * len(names)][: len(names)],
        )
        panel.axvline(LIMITS[field], color="#b33", linewidth=1)
        panel.set_title(field)
        panel.invert_yaxis()
    figure.tight_layout()
    path = RESULTS / "sdk.png"
    figure.savefig(path, dpi=110)
    return path


@click.command()
@click.option(
    "--clicks", type=click.IntRange(100), default=1_000, show_default=True, help="Of each page, over all rounds."
)
@click.option("--rounds", type=click.IntRange(1), default=4, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(clicks: int, rounds: int, as_json: bool) -> None:
    """Measure, print, draw; exit 1 where Segma is over a limit."""
    with tempfile.TemporaryDirectory() as work, sync_playwright() as playwright:
        scripts = built(Path(work))
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        found: dict[str, list[Cost]] = {name: [] for name in scripts}
        with serving(scripts) as server:
            for number in range(rounds):
                for at, name in enumerate(scripts):
                    print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr)
                    found[name].append(measured(browser, server, at, name, clicks // rounds))
        browser.close()
    costs = summary(found)
    over = [field for field, limit in LIMITS.items() if getattr(costs[OURS], field) > limit]
    if as_json:
        print(
            json.dumps(
                {
                    "less the empty page": {name: cost._asdict() for name, cost in costs.items()},
                    "limits": LIMITS,
                    "over": over,
                }
            )
        )
    else:
        table = Table("less the empty page, CPU / 4", *Cost._fields)
        for name, cost in costs.items():
            if name != EMPTY:
                table.add_row(name, *(f"{value:.3f}" if at < 2 else f"{value:.0f}" for at, value in enumerate(cost)))
        table.add_row("limit", *(str(LIMITS[field]) for field in Cost._fields))
        Console().print(table)
        print(draw(costs))
    sys.exit(1 if over else 0)


if __name__ == "__main__":
    main()
