"""The tries of :mod:`tests.recovery.door_tries` against a running installation: what ``segma up`` runs, all of it.

Collector, flow, delivery to the file account, embedded ClickHouse, loader and console run as processes; the tries come
by sockets, from many clients behind one trusted proxy. After each batch the history is asked for every event of every
2xx: each is a row or a dead letter. At the end every row, topic, page, metric and file is searched for the canaries.
"""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

import psutil
import requests

from analytics.config import analytics_settings_at, connect
from cli.local_kafka import choose_kafka
from cli.people import import_people
from cli.supervise import ManagedProcess, Supervised, supervise
from cli.up import LocalAddresses, programs_of
from collector.bodies import text_of
from collector.hooks import MAX_HOOK_BYTES, records_of
from collector.notices import Told
from collector.platforms.registry import notices_of
from console.access.users import Users
from contracts.beacons import BeaconRecord, ServerBeacon
from contracts.codec import json_reader, msgpack_reader
from contracts.errors import BadToken
from contracts.installation import MAX_BODY_BYTES
from contracts.tokens import normalised_address, subscriber_id
from contracts.topics import BEACONS, SUBSCRIBERS
from sinks.base import Member
from tests.collector.door import KEY, ORIGIN, SECRET, keyring
from tests.collector.hooked import HOOK
from tests.coroutines import run_apart
from tests.live_files import paths_below
from tests.ports import free_port
from tests.recovery.door_connection import Answer, Connection
from tests.recovery.door_tries import MARK, Moment, Request, Tries
from transport import open_log
from transport.config import load_installation, settings_at

ROOT: Final = Path(__file__).resolve().parents[2]
CONNECTIONS: Final = 16
SILENCE_S: Final = 60.0
"""So long without one more row an event counts as lost."""
PLATFORMS: Final = ("mailchimp", "activecampaign", "klaviyo", "hubspot")
PRIVATE: Final = frozenset({"keys", "secret", "server", "hook", "segma.yaml", "secrets/console-users.json"})
"""Files of the home that hold secrets by their purpose."""
CONFIG: Final = f"""token_keys: {{file: keys}}
partitions: 2
workspaces:
  shop:
    secret: {{file: secret}}
    sites:
      shop:
        key: shop-key
        origins: ["{ORIGIN}"]
        redirect_hosts: [shop.example]
        server_key: {{file: server}}
        max_events: 20
        rate_per_s: 1000000
        rate_burst: 1000000
    accounts:
      mailbox: {{sink: file}}
""" + "".join(f"      {name}: {{sink: {name}, hook: {{file: hook}}}}\n" for name in PLATFORMS)
LISTENER: Final = """listener: looked
sequence: [{action: product_added}, {action: page_viewed}]
then: [{move: {from: newsletter, to: lookers, at: mailbox}}]
"""
LOGIN: Final = {"name": "looker", "password": "looks at every page"}
MUST_BE_NONE: Final = ("5xx", "lost", "restarts", "tracebacks", "canaries")
_read_record = msgpack_reader(BeaconRecord)
_read_server = json_reader(ServerBeacon)
Counts = collections.Counter[str]


@dataclasses.dataclass(frozen=True)
class Running:
    """A running installation."""

    home: Path
    addresses: LocalAddresses
    metrics: Sequence[str]
    supervised: Supervised

    def pids(self) -> dict[str, int]:
        """Each process that runs, the collector's workers among them."""
        found = {each.name: each.pid for each in self.supervised.states()}
        workers = psutil.Process(found["collector"]).children()
        return found | {f"collector worker {number}": each.pid for number, each in enumerate(workers)}


def write_home(home: Path) -> None:
    """An installation with a door of each kind, a listener, and one person in the list that it moves out of."""
    files = {"secret": SECRET, "server": b"server-secret", "hook": HOOK.encode()}
    for name, data in files.items():
        (home / name).write_bytes(data)
    (home / "keys").write_text(f"k1 {KEY.secret.hex()}\n")
    (home / "segma.yaml").write_text(CONFIG)
    Users(home / "segma.yaml").put(LOGIN["name"], LOGIN["password"], {"shop": "engineer"})
    (home / "listeners").mkdir()
    (home / "listeners" / "looked.yaml").write_text(LISTENER)


@contextmanager
def installation(home: Path, *, kafka: bool = False, say: Callable[[str], None] = lambda _: None) -> Iterator[Running]:
    """Run everything that ``segma up`` runs, but the deliveries to platforms that are not there."""
    write_home(home)
    base = free_port(range(8))
    addresses = LocalAddresses.at(base, shop=False)
    choose_kafka(home, base, wanted=kafka)
    ports = {name: base + 4 + number for number, name in enumerate(("COLLECTOR", "FLOW", "SINK"))}
    more = {f"SEGMA_{name}_METRICS_PORT": str(port) for name, port in ports.items()}
    more |= {"SEGMA_TRUSTED_PROXIES": "127.0.0.1/32", "PYTHONPATH": str(ROOT)}
    sdk = Path(os.environ.get("SEGMA_SDK", home / "sdk.js"))
    if not sdk.exists():
        sdk.write_text("/* sdk */\n")
    more["SEGMA_SDK"] = str(sdk)
    own = [f"deliver-shop-{name}" for name in PLATFORMS]
    programs: list[ManagedProcess] = [
        dataclasses.replace(each, environment=each.environment | more)
        for each in programs_of(home, load_installation(home / "segma.yaml"), addresses)
        if each.name not in own
    ]
    with supervise(home, programs, say=say) as supervised:
        metrics = [f"http://127.0.0.1:{port}/metrics" for port in ports.values()]
        import_people(home, "shop/mailbox", "newsletter", [Member("anna@leak.example")])
        yield Running(home, addresses, metrics, supervised)


class Ledger:
    """What the doors have taken and the history must show.

    ``tries``: a mark or an event's id → the try that sent it.
    """

    def __init__(self, moment: Moment) -> None:
        self._moment, self._keyring = moment, keyring()
        self.tries: dict[str, int] = {}

    def take(self, number: int, request: Request, answer: Answer) -> None:
        """Note what one answer has promised."""
        path, headers = request["path"], request.get("headers", {})
        if path in {"/v1/beacons", "/v1/events"} and answer.status == 204 and request["method"] == "POST":
            for mark in marks_of(request, headers):
                self.tries[mark] = number
        elif path.startswith("/v1/hooks/") and answer.status == 204:
            for event_id in told_by(request):
                self.tries[event_id] = number
        elif path.startswith("/r/") and answer.status == 302:
            asked = parse_qs(urlsplit(answer.headers.get("location", "")).query, errors="replace")
            for click in asked.get("sgm_click", ())[:1]:
                self.tries[f"c-{click}"] = number
        elif path.startswith("/o/") and answer.body[:3] == b"GIF" and self._is_kept(path, headers):
            self.tries[f"q{number:08d}-00z"] = number

    def _is_kept(self, path: str, headers: dict[str, str]) -> bool:
        """Whether an open is somebody's who does not decline."""
        try:
            self._keyring.open(unquote(path[3:].removesuffix(".gif")), workspace=None, now_s=self._moment.issued_at_s)
        except BadToken:
            return False
        return "1" not in {headers.get("DNT"), headers.get("Sec-GPC")}


def marks_of(request: Request, headers: dict[str, str]) -> set[str]:
    """The marks of the events that a page or a server sent: of each that stands where an event's fields are read."""
    text = text_of(request["body"], headers.get("Content-Encoding", ""), MAX_BODY_BYTES).decode("utf-8", "replace")
    try:
        events = json.loads(text)["events"]
    except ValueError:
        return {found[0] for found in MARK.finditer(text)}
    own = [each for each in events if not (isinstance(each, dict) and _is_shared(each.get("event_id")))]
    kept = [[each.get("event_id"), each.get("properties")] if isinstance(each, dict) else each for each in own]
    return {found[0] for found in MARK.finditer(json.dumps(kept))}


def _is_shared(event_id: object) -> bool:
    """Whether an id is one that other events bear as well: they are one event, and repetitions of it share a row."""
    return (
        isinstance(event_id, str) and re.fullmatch(r"[\w.:-]{1,64}", event_id) is not None and not MARK.search(event_id)
    )


def told_by(request: Request) -> list[str]:
    """The ids of the events that a webhook tells, as the door reads it."""
    account = request["path"].split("/")[4]
    asked = parse_qs(request.get("query_string", ""))
    body = text_of(request["body"], request["headers"].get("Content-Encoding", ""), MAX_HOOK_BYTES)
    notices = notices_of(account, Told(body, "".join(asked.get("action", ())[:1])))
    named = [(each, subscriber_id(SECRET, normalised_address(each.address))) for each in notices]
    found = [each for each in records_of(named, "shop", account, now_ms=0) if each.topic == BEACONS and each.value]
    bodies = [_read_server(_read_record(each.value or b"").body) for each in found]
    return [json.loads(bytes(raw))["event_id"] for body in bodies for raw in body.events]


class Trial:
    """Sends tries to an installation and looks at what became of them."""

    def __init__(self, running: Running, seed: int, counts: Counts, say: Callable[[str], None]) -> None:
        self._running, self._seed, self.counts, self._say = running, seed, counts, say
        self._pids = running.pids()
        now_s = int(time.time())
        self._issued_at_s = now_s - now_s % 3_600
        self._host = f"127.0.0.1:{running.addresses.collector.rpartition(':')[2]}"
        settings = analytics_settings_at(running.home)
        self._history = connect(settings)

    def moment(self) -> Moment:
        """Now, for tries that are sent soon."""
        return Moment(time.time_ns() // 1_000_000, self._issued_at_s, self._host)

    def batch(self, first: int, tries: int) -> list[int]:
        """Send tries from ``first`` on and wait until the history shows all of it; the tries of what is lost."""
        moment = self.moment()
        ledger = Ledger(moment)
        run_apart(self._send(Tries(self._seed, moment), first, tries, ledger))
        lost = self._missing(ledger, moment.now_ms - 5_000)
        self.counts["lost"] += len(lost)
        self.counts["events taken"] += len(ledger.tries)
        pids = self._running.pids()
        self.counts["restarts"] += sum(pids.get(name) != pid for name, pid in self._pids.items())
        self._pids = pids
        return sorted({ledger.tries[each] for each in lost})

    async def _send(self, tries: Tries, first: int, count: int, ledger: Ledger) -> None:
        numbers = iter(range(first, first + count))
        port = int(self._host.rpartition(":")[2])

        async def client(name: int) -> None:
            connection = Connection(port, f"10.9.{name}.7")
            for number in numbers:
                request = tries.request(number)
                connection.client = f"10.{number % 250}.{number // 250 % 250}.7"
                self._note(number, request, await connection.send(request, self._host), ledger)
            connection.close()

        await asyncio.gather(*(client(name) for name in range(CONNECTIONS)))

    def _note(self, number: int, request: Request, answer: Answer, ledger: Ledger) -> None:
        self.counts["tried"] += 1
        if answer.status >= 500:
            self._say(f"try {number}: {answer.status} {request['method']} {request['path'][:60]}")
            self.counts["5xx"] += 1
        elif answer.status >= 400:
            self.counts[f"refused {answer.reason or answer.status}"] += 1
        elif answer.status == 0:
            self.counts["hung up on"] += 1
        else:
            self.counts["taken"] += 1
            ledger.take(number, request, answer)

    def _missing(self, ledger: Ledger, since_ms: int) -> set[str]:
        """What the history does not show, once nothing more has come for so long that nothing will."""
        missing, heard = set(ledger.tries), time.monotonic()
        while left := missing - self._shown(since_ms):
            if len(left) < len(missing):
                heard = time.monotonic()
            elif time.monotonic() - heard > SILENCE_S:
                break
            missing = left
            time.sleep(0.5)  # the history has no call that waits for a row
        return left

    def _shown(self, since_ms: int) -> set[str]:
        """Every mark and event id that rows and dead letters have got since."""
        since = {"since": since_ms / 1_000}
        marks = MARK.pattern.replace("(", "").replace(")", "")
        events = self._history.rows(
            f"SELECT event_id, extractAll(concat(event_id, ' ', properties), '{marks}') FROM event_rows "
            "WHERE logged_at >= toDateTime64({since:Float64}, 3)",
            since,
        )
        letters = self._history.rows(
            f"SELECT extractAll(sample, '\"event_id\":\"(w-[0-9a-f]+)\"'), extractAll(sample, '{marks}') "
            "FROM dead_letter_rows WHERE at >= toDateTime64({since:Float64}, 3)",
            since,
        )
        found = {str(event_id) for event_id, _ in events}
        for each in (*(each for _, each in events), *(each for row in letters for each in row)):
            found.update(each)
        return found

    def search(self) -> dict[str, int]:
        """Where canaries were found: topic, table, page, metrics or file → how many times."""
        canaries = self.moment().canaries()
        found: Counts = collections.Counter()
        for place, data in self._everything():
            low = data.lower()
            found[place] += sum(low.count(each) for each in canaries)
        return {place: count for place, count in found.items() if count}

    def close(self) -> None:
        """Let the history go, and look into the logs: nothing of ours may have been unforeseen."""
        self._history.close()
        for path in (self._running.home / "logs").iterdir():
            text = path.read_text(encoding="utf-8", errors="replace")
            faults = len(
                re.findall(r'Traceback|"event": "(?:unforeseen|processing_failed|state_lost)|WORKER TIMEOUT', text)
            )
            if faults:
                self._say(f"{path.name}: {faults} defects told")
                self.counts["tracebacks"] += faults

    def _everything(self) -> Iterator[tuple[str, bytes]]:
        yield from self._records()
        yield from self._rows()
        yield from self._pages()
        yield from files_of(self._running.home)

    def _records(self) -> Iterator[tuple[str, bytes]]:
        with closing(open_log(settings_at(self._running.home))) as log:
            for topic in log.topics():
                if topic.name == SUBSCRIBERS:
                    continue
                with closing(log.reader(topic.name)) as reader:
                    while records := reader.poll(5_000):
                        for record in records:
                            yield f"topic {topic.name}", record.key + (record.value or b"")

    def _rows(self) -> Iterator[tuple[str, bytes]]:
        for (table,) in self._history.rows("SHOW TABLES"):
            for (text,) in self._history.rows(f"SELECT toString(tuple(*)) FROM {table}"):
                yield f"table {table}", str(text).encode("utf-8", "surrogateescape")

    def _pages(self) -> Iterator[tuple[str, bytes]]:
        console = self._running.addresses.console
        session = requests.Session()
        session.post(f"{console}/login", LOGIN, headers={"origin": console}, timeout=30).raise_for_status()
        for path in ("/", "/inbox", "/lists", "/events"):
            yield f"page {path}", session.get(f"{console}{path}", timeout=30).content
        for path in ("/live/lists", "/live/events"):
            with session.get(f"{console}{path}", timeout=30, stream=True) as answer:
                yield f"page {path}", next(line for line in answer.iter_lines() if line.startswith(b"data:"))
        for url in self._running.metrics:
            yield "metrics", requests.get(url, timeout=30).content


def files_of(home: Path, most: int = 1 << 24) -> Iterator[tuple[str, bytes]]:
    """Every file of a home in pieces that overlap, but those that hold secrets and addresses by their purpose."""
    for path in paths_below(home):
        name = path.relative_to(home).as_posix()
        if name in PRIVATE or f"/{SUBSCRIBERS}." in name or "lists/" in name:
            continue
        try:
            with path.open("rb") as file:
                tail = b""
                while piece := file.read(most):
                    yield f"file {name}", tail + piece
                    tail = piece[-512:]
        except FileNotFoundError:
            continue  # a part that ClickHouse has merged
