"""``segma match``: listeners over a file of events, as the live flow would have matched them."""

from __future__ import annotations

import codecs
import gc
import heapq
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

import click
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from cli.output import Exit, err, json_line
from contracts.codec import MAX_DEPTH, Value, depth_exceeds, json_reader, to_json
from contracts.errors import BadRecord
from contracts.events import Event, Trust
from contracts.installation import duration_ms
from contracts.plurals import counted
from contracts.time_zones import named_zone
from flows.derived.membership import MADE_ORDER
from flows.derived.profile import with_profiles
from flows.language.files import load_listeners
from flows.machine.machine import Machine, Match
from flows.replay.ordered import replayed
from flows.subscriber.pinned_terms import Terms
from flows.subscriber.reapply import Applied, Reapplier, Timeline
from flows.subscriber.woven import reapplier_of

PART_BYTES: Final = 16 * 1024 * 1024
"""Events held in memory at once, about; a larger file is first parted by subscriber on the disk."""
MAX_PARTS: Final = 256
"""Files open at once: far below the usual limit of 1,024. A file over 4 GB has larger parts."""
BATCH: Final = 20_000
"""Matches sorted in memory at once."""
MAX_SHOWN: Final = 20
EARLIEST_MS: Final = -62_135_596_800_000
LATEST_MS: Final = 253_402_300_799_999
"""The years 1 to 9999: what can be told as a date."""
MAX_ORDER: Final = 2**63 - 1


class FileEvent(Value, frozen=True):
    """One line of the file."""

    event_id: str
    subscriber: str
    action: str
    occurred_at: int | str
    properties: dict[str, Any] = {}  # noqa: RUF012 (msgspec makes a new one for each)
    order: int | None = None
    trust: Trust = Trust.BROWSER
    stitched: bool = False
    provisional: bool = False
    verdict: str = ""


read_file_event: Callable[[bytes], FileEvent] = json_reader(FileEvent)


class FileLine(NamedTuple):
    """A line read: its number, the log time when it came (with ``--arrival``), the event."""

    number: int
    log_time_ms: int
    event: Event


class BadLine(Exception):
    """A line that is no event; the text says why."""


def event_of(data: bytes, number: int) -> Event:
    """The event of a line. ``order`` is the line's number where the event has none. Raises :class:`BadLine`."""
    if number == 1:
        data = data.removeprefix(codecs.BOM_UTF8)
    if depth_exceeds(data):
        raise BadLine(f"nested deeper than {MAX_DEPTH} levels")
    try:
        read = read_file_event(data)
        at_ms = read.occurred_at if isinstance(read.occurred_at, int) else _iso_ms(read.occurred_at)
    except BadRecord as error:
        raise BadLine(error.detail) from None
    except ValueError:
        raise BadLine("occurred_at: neither integer milliseconds nor an ISO 8601 instant") from None
    if not EARLIEST_MS <= at_ms <= LATEST_MS:
        raise BadLine("occurred_at: outside the years 1 to 9999")
    order = number if read.order is None else read.order
    if abs(order) > MAX_ORDER:
        raise BadLine(f"order: a whole number of at most {MAX_ORDER}")
    return Event(
        workspace="",
        subscriber=read.subscriber,
        event_id=read.event_id,
        action=read.action,
        occurred_at_ms=at_ms,
        order=order,
        properties=read.properties,
        trust=read.trust,
        stitched=read.stitched,
        provisional=read.provisional,
        verdict=read.verdict,
    )


def _iso_ms(text: str) -> int:
    at = datetime.fromisoformat(text)
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    since = at - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000 + since.microseconds // 1_000


class _Parts:
    """The lines, parted by subscriber so that a part fits in memory; log times are given before."""

    def __init__(self, directory: str, count: int) -> None:
        self._files: list[BinaryIO] = [
            Path(directory, f"part-{number}").open("w+b")  # noqa: SIM115
            for number in range(count)
        ]
        self.latest_ms = EARLIEST_MS
        self.lines = 0
        self.problems: list[str] = []
        self.bad = 0

    def add(self, data: bytes, number: int) -> None:
        try:
            event = event_of(data, number)
        except BadLine as error:
            self.bad += 1
            if self.bad <= MAX_SHOWN:
                self.problems.append(f"line {number}: {error}")
            return
        self.lines += 1
        self.latest_ms = max(self.latest_ms, event.occurred_at_ms)
        part = self._files[zlib.crc32(event.subscriber.encode()) % len(self._files)]
        part.write(b"%d %d " % (number, self.latest_ms))
        part.write(data.rstrip(b"\r\n") + b"\n")

    def subscribers(self) -> Iterator[list[FileLine]]:
        """Each subscriber's lines, in the file's order."""
        for part in self._files:
            found: dict[str, list[FileLine]] = {}
            part.seek(0)
            for line in part:
                number, log_time_ms, data = line.split(b" ", 2)
                event = event_of(data, int(number))
                found.setdefault(event.subscriber, []).append(FileLine(int(number), int(log_time_ms), event))
            part.close()
            yield from found.values()


Rank = tuple[int, bool, int, str, str, str, tuple[str, ...]]


class FoundMatch(NamedTuple):
    """A match, its rank, and whether it was taken back."""

    match: Match
    rank: Rank
    retracted: bool = False

    def line(self) -> bytes:
        """The line of the answer."""
        match = self.match
        steps = {name: [event.event_id for event in events] for name, events in match.steps.items()}
        return json_line(
            {
                "listener": match.listener,
                "version": match.version,
                "subscriber": match.subscriber,
                "match_id": match.match_id,
                "steps": steps,
                "events": match.events,
                "matched_at_ms": match.matched_at_ms,
                "retracted": self.retracted,
            }
        )


def rank_of(match: Match, orders: Mapping[str, int]) -> Rank:
    """Return a match's rank in the order of completion: at one instant deadlines come first, then the completing events
    in their order, and at one event the listeners by name. ``orders``: by event id the ``order`` of the events.
    """
    by_event = match.completed_by
    # What a match made comes behind whatever the person did at that time.
    order = orders.get(by_event, MADE_ORDER) if by_event else 0
    return (
        *(match.matched_at_ms, bool(by_event), order, by_event),
        *(match.listener, match.subscriber, match.events),
    )


def in_order(machine: Machine, lines: list[FileLine], final_ms: int, gap_ms: int) -> Iterator[FoundMatch]:
    """One subscriber, sorted by SEMANTICS 2. Of two lines with one id the first in the file counts."""
    unique = {line.event.event_id: line.event for line in reversed(lines)}
    orders = {event.event_id: event.order for event in unique.values()}
    ordered = sorted(unique.values(), key=lambda event: event.place)
    if machine.minds_membership:
        found = replayed(machine, ordered, gap_ms=gap_ms, final_ms=final_ms).matches
        yield from (FoundMatch(match, rank_of(match, orders)) for match in found)
        return
    state = machine.start(lines[0].event.subscriber)
    for event, session in with_profiles(ordered, gap_ms=gap_ms):
        state, matches = machine.apply(state, event, session)
        yield from (FoundMatch(match, rank_of(match, orders)) for match in matches)
    yield from (FoundMatch(match, rank_of(match, orders)) for match in machine.advance(state, final_ms)[1])


def by_arrival(follower: Reapplier, lines: list[FileLine], final_ms: int) -> Iterator[FoundMatch]:
    """One subscriber, in the file's order: late events are put in their place, matches may be retracted."""
    orders = {line.event.event_id: line.event.order for line in reversed(lines)}
    timeline = follower.new(lines[0].event.subscriber)
    found: dict[str, FoundMatch] = {}
    for applied in _arriving(follower, timeline, lines, final_ms):
        for match in applied.retractions:
            found[match.match_id] = FoundMatch(match, rank_of(match, orders), retracted=True)
        for match in (*applied.matches, *applied.amended):
            found[match.match_id] = FoundMatch(match, rank_of(match, orders))
    yield from found.values()


def _arriving(follower: Reapplier, timeline: Timeline, lines: list[FileLine], final_ms: int) -> Iterator[Applied]:
    """What each line changes; late ones that wait are put in their places before any deadline fires."""
    for line in lines:
        if timeline.waiting:
            yield follower.merge(timeline)[1]
        yield follower.advance(timeline, line.log_time_ms)
        yield follower.put(timeline, line.event, log_time_ms=line.log_time_ms)
    if timeline.waiting:
        yield follower.merge(timeline)[1]
    yield follower.advance(timeline, final_ms)


def _sorted_parts(results: Iterable[list[FoundMatch]], directory: str) -> Iterator[bytes]:
    """All lines in order of completion. Each list is sorted and put on the disk, its rank before each line."""
    runs: list[Iterator[tuple[Rank, bytes]]] = []
    for number, found in enumerate(results):
        found.sort(key=lambda result: result.rank)
        path = Path(directory, f"found-{number}")
        with path.open("wb") as file:
            for result in found:
                file.write(to_json(result.rank) + b"\t" + result.line())
        runs.append(_read_run(path))
    for _, line in heapq.merge(*runs, key=lambda pair: pair[0]):
        yield line


_read_rank: Callable[[bytes], Rank] = json_reader(Rank)


def _read_run(path: Path) -> Iterator[tuple[Rank, bytes]]:
    with path.open("rb") as file:
        for data in file:
            rank, line = data.split(b"\t", 1)  # JSON has no bare tab
            yield _read_rank(rank), line


def _batched(results: Iterator[FoundMatch], size: int) -> Iterator[list[FoundMatch]]:
    batch: list[FoundMatch] = []
    for result in results:
        batch.append(result)
        if len(batch) >= size:
            yield batch
            batch = []
    yield batch


class _Bar:
    """Progress on standard error, where it is a terminal."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=err, transient=True, disable=not err.is_terminal)
        self._task = self._progress.add_task("", total=None)

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, text: str, total: int) -> None:
        self._progress.reset(self._task, description=text, total=total)

    def move(self, steps: int) -> None:
        self._progress.advance(self._task, steps)


def duration_option(_ctx: click.Context, _param: click.Parameter, value: str) -> int:
    """A duration of an option, in ms."""
    try:
        return duration_ms(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def zone_option(_ctx: click.Context, _param: click.Parameter, value: str) -> tzinfo:
    """The time zone of an option."""
    try:
        return named_zone(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command("match")
@click.option("--listeners", "directory", required=True, type=click.Path(exists=True, path_type=Path), metavar="DIR")
@click.option(
    "--events", "source", required=True, type=click.File("rb"), metavar="FILE", help="NDJSON; - for standard input."
)
@click.option("--arrival", is_flag=True, help="The file's order is the order of arrival; occurred_at is the log time.")
@click.option("--final-ms", type=int, help="Move the log time to this instant at the end.")
@click.option("--actions", type=click.Path(path_type=Path), help="The site's own actions [default: beside DIR]")
@click.option("--session-gap", default="30m", show_default=True, callback=duration_option)
@click.option("--time-zone", default="UTC", show_default=True, callback=zone_option, help="The workspace's.")
@click.option("--lateness", default="10m", show_default=True, callback=duration_option, help="With --arrival.")
@click.option("--max-delay", default="24h", show_default=True, callback=duration_option, help="With --arrival.")
@click.option("--max-runs", type=click.IntRange(min=1), default=64, show_default=True)
def match_command(  # noqa: PLR0917
    directory: Path,
    source: BinaryIO,
    arrival: bool,
    final_ms: int | None,
    actions: Path | None,
    session_gap: int,
    time_zone: tzinfo,
    lateness: int,
    max_delay: int,
    max_runs: int,
) -> None:
    """Run listeners over a file of events.

    Each line of the file is an event: event_id, subscriber, action, occurred_at (ISO or integer ms), properties, and
    optionally order. Each line of the answer is a match, in order of completion. Without --arrival each subscriber's
    events are sorted first; deadlines fire up to the file's newest event, or up to --final-ms. With --arrival an event
    that comes late is put in its place, and a match that it takes back says retracted.

    Exit codes: 0 well, 1 some lines are no events (they are named and left out), 2 listeners that cannot be used.
    """
    listeners = load_listeners(directory, actions or actions_beside(directory))
    machine = Machine(listeners, max_runs=max_runs, zone=time_zone)
    # PERF: the compiled listeners live as long as the process, and states are values without cycles: collections find
    # nothing, and took a third of the time.
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
    follower = reapplier_of(machine, Terms(lateness, session_gap, max_delay))
    with tempfile.TemporaryDirectory(prefix="segma-match-") as scratch, _Bar() as bar:
        parts = _read(source, scratch, bar)
        last_ms = max(parts.latest_ms, final_ms if final_ms is not None else EARLIEST_MS)
        bar.begin("matching", parts.lines)

        def results() -> Iterator[FoundMatch]:
            for lines in parts.subscribers():
                if arrival:
                    yield from by_arrival(follower, lines, last_ms)
                else:
                    yield from in_order(machine, lines, last_ms, session_gap)
                bar.move(len(lines))

        for line in _sorted_parts(_batched(results(), BATCH), scratch):
            sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()
    if parts.bad:
        for problem in parts.problems:
            err.print(f"segma: {problem}", markup=False)
        err.print(f"segma: left out: {parts.bad} of {counted(parts.lines + parts.bad, 'line')}, no event")
        sys.exit(Exit.PROBLEMS)


def actions_beside(place: Path) -> Path:
    """Return the default file of a site's own actions: beside the directory of its listeners."""
    return (place if place.is_dir() else place.parent).absolute().parent / "actions.yaml"


def _read(source: BinaryIO, scratch: str, bar: _Bar) -> _Parts:
    path = Path(str(getattr(source, "name", "")))
    size = path.stat().st_size if path.is_file() else 0
    # Standard input tells no size: as many parts as a file of about a gigabyte would have.
    parts = _Parts(scratch, min(size // PART_BYTES + 1, MAX_PARTS) if size else 64)
    bar.begin("reading", size)
    for number, data in enumerate(source, start=1):
        if data.strip():
            parts.add(data, number)
        bar.move(len(data))
    return parts
