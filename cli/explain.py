"""``segma explain``: why a listener matched somebody, or each run's life in words."""

from __future__ import annotations

import difflib
import sys
from datetime import tzinfo
from pathlib import Path
from typing import BinaryIO

import click

from analytics.named_queries import instant
from cli.match import MAX_SHOWN, BadLine, actions_beside, duration_option, event_of, zone_option
from cli.output import Exit, err, fail, out, print_json
from contracts.errors import ConfigError, Problem
from contracts.events import Event
from contracts.installation import duration_ms
from contracts.plurals import counted
from contracts.versions import Pause, merged
from flows.language.files import load_listeners
from flows.language.model import Listener
from flows.replay.explain import explain
from flows.subscriber.cap import Cap


def _cap_option(_ctx: click.Context, _param: click.Parameter, value: str | None) -> Cap | None:
    if value is None:
        return None
    moves, _, span = value.partition("/")
    try:
        cap = Cap(int(moves), duration_ms(span))
    except ValueError:
        cap = Cap(0, 0)
    if cap.moves < 1:
        raise click.BadParameter(f"`{value}` is no cap: moves and a span, 2/7d")
    return cap


def _pauses_option(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> tuple[Pause, ...]:
    return merged(_pause(value) for value in values)


def _pause(value: str) -> Pause:
    from_, _, until = value.partition("/")
    try:
        begins, ends = (round(instant(each, 0).timestamp() * 1_000) if each else None for each in (from_, until))
    except ValueError:
        begins = ends = None
    if begins is None or (ends is not None and ends <= begins):
        raise click.BadParameter(f"`{value}` is no pause: 2026-04-01T12:00/2026-04-02T08:00, or without the end")
    return begins, ends


@click.command("explain")
@click.argument("listener")
@click.option("--events", "source", required=True, type=click.File("rb"), metavar="FILE", help="NDJSON, as for match.")
@click.option("--subscriber", required=True)
@click.option("--listeners", "directory", type=click.Path(path_type=Path), default=Path("listeners"), show_default=True)
@click.option(
    "--actions", type=click.Path(path_type=Path), help="The site's own actions [default: beside their directory]"
)
@click.option("--final-ms", type=int, help="Move the log time to this instant at the end.")
@click.option("--session-gap", default="30m", show_default=True, callback=duration_option)
@click.option("--time-zone", default="UTC", show_default=True, callback=zone_option, help="The workspace's.")
@click.option("--cap", metavar="MOVES/SPAN", callback=_cap_option, help="The workspace's `cap`: 2/7d is two in a week.")
@click.option(
    "--paused",
    "pauses",
    multiple=True,
    metavar="FROM/UNTIL",
    callback=_pauses_option,
    help="When it was paused, as `segma listeners versions` says; once for each pause.",
)
@click.option("--json", "as_json", is_flag=True, help="One line of JSON with the transcript's lines.")
def explain_command(  # noqa: PLR0917
    listener: str,
    source: BinaryIO,
    subscriber: str,
    directory: Path,
    actions: Path | None,
    final_ms: int | None,
    session_gap: int,
    time_zone: tzinfo,
    cap: Cap | None,
    pauses: tuple[Pause, ...],
    as_json: bool,
) -> None:
    """Say why LISTENER (a name, or a file) matched a subscriber, or how each of its runs ended."""
    found = _find(listener, directory, actions)
    events, last_ms, bad = _events(source, subscriber)
    end_ms = max(last_ms, final_ms) if final_ms is not None else last_ms
    if not events:
        fail(f"no event of subscriber `{subscriber}` in the file", Exit.PROBLEMS)
    text = explain(found, events, final_ms=end_ms, session_gap_ms=session_gap, zone=time_zone, cap=cap, pauses=pauses)
    if as_json:
        print_json({"listener": found.name, "subscriber": subscriber, "transcript": text.split("\n")})
    else:
        out.print(text, markup=False)
    if bad:
        err.print(f"segma: left out: {counted(bad, 'line that is no event', 'lines that are no events')}")
        sys.exit(Exit.PROBLEMS)


def _find(name: str, directory: Path, actions: Path | None) -> Listener:
    path = Path(name)
    if path.suffix in {".yaml", ".yml"}:
        listeners = load_listeners(path, actions or actions_beside(path))
        if len(listeners) == 1:
            return listeners[0]
        raise ConfigError([Problem(name, "", counted(len(listeners), "listener"), "a file with one")])
    listeners = load_listeners(directory, actions or actions_beside(directory))
    for each in listeners:
        if each.name == name:
            return each
    near = difflib.get_close_matches(name, [each.name for each in listeners], n=1)
    hint = f"did you mean `{near[0]}`?" if near else f"known: {', '.join(each.name for each in listeners)}"
    raise ConfigError([Problem(str(directory), "", f"no listener `{name}`", hint)])


def _events(source: BinaryIO, subscriber: str) -> tuple[list[Event], int, int]:
    """The subscriber's events in order (of two with one id the first), the file's newest time, the bad lines."""
    found: dict[str, Event] = {}
    last_ms, bad = -(2**62), 0
    for number, data in enumerate(source, start=1):
        if not data.strip():
            continue
        try:
            event = event_of(data, number)
        except BadLine as error:
            bad += 1
            if bad <= MAX_SHOWN:
                err.print(f"segma: line {number}: {error}", markup=False)
            continue
        last_ms = max(last_ms, event.occurred_at_ms)
        if event.subscriber == subscriber:
            found.setdefault(event.event_id, event)
    return sorted(found.values(), key=lambda event: event.place), last_ms, bad
