"""Look for disagreements between the machine and the brute force, beyond the cases that the tests run.

``python -m tests.properties.search --seed 7 --cases 100000`` prints each disagreement shrunk, as YAML and events, ready
to be kept in ``test_counter_examples.py``; exit code 1 if there was one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click
import yaml

from contracts.codec import replaced
from contracts.errors import ListenerError
from contracts.events import Event, Trust
from tests.properties.case import Case, by_machine, cases
from tests.properties.coverage import without_one
from tests.properties.generate import GAP_MS, Data, parsed
from tests.properties.oracle import Answer, brute_force


def answers(data: Data, events: list[Event], end_ms: int) -> tuple[list[Answer], list[Answer]] | None:
    """What the machine and the brute force say; None where it is no listener, or there is no event."""
    try:
        listener = parsed(data)
    except ListenerError:
        return None
    if not events:
        return None
    return by_machine(listener, events, end_ms), brute_force(listener, events, gap_ms=GAP_MS, end_ms=end_ms)


def disagree(data: Data, events: list[Event], end_ms: int) -> bool:
    """Whether the two differ."""
    both = answers(data, events, end_ms)
    return both is not None and both[0] != both[1]


def shrunk(case: Case) -> tuple[Data, list[Event]]:
    """A smaller case that disagrees still: nothing more can be left out."""
    data, events = case.data, case.events
    while True:
        for smaller_data, smaller_events in _smaller(data, events):
            if disagree(smaller_data, smaller_events, case.end_ms):
                data, events = smaller_data, smaller_events
                break
        else:
            return data, events


def _smaller(data: Data, events: list[Event]) -> Iterator[tuple[Data, list[Event]]]:
    for index in range(len(events)):
        yield data, events[:index] + events[index + 1 :]
    for smaller in without_one(data):
        yield smaller, events
    plain: dict[str, Any] = {"stitched": False, "provisional": False, "verdict": "", "trust": Trust.SERVER}
    for index, event in enumerate(events):
        simpler = [replaced(event, properties=each) for each in without_one(event.properties)]
        simpler += [replaced(event, **{name: value}) for name, value in plain.items() if getattr(event, name) != value]
        for each in simpler:
            yield data, [*events[:index], each, *events[index + 1 :]]


def shown(data: Data, events: list[Event], end_ms: int) -> str:
    """A case as text."""
    lines = [yaml.safe_dump(data, sort_keys=False, default_flow_style=None)]
    for event in events:
        marks = " stitched" if event.stitched else ""
        marks += " provisional" if event.provisional else ""
        lines.append(
            f"  {event.event_id} {event.occurred_at_ms} {event.action} {event.properties} {event.trust}{marks}"
        )
    both = answers(data, events, end_ms)
    for name, found in zip(("machine", "brute force"), both or ((), ()), strict=True):
        lines.append(f"  {name}: {[(steps, at_ms) for _, steps, _, at_ms in found]}")
    return "\n".join([*lines, f"  until {end_ms}"])


@click.command()
@click.option("--seed", type=int, default=1_000, show_default=True)
@click.option("--cases", "count", type=int, default=100_000, show_default=True)
@click.option("--most", type=int, default=3, show_default=True, help="Disagreements to show.")
def search(seed: int, count: int, most: int) -> None:
    """Run generated cases and print what the two say differently."""
    found = 0
    for case in cases(seed, count):
        if disagree(case.data, case.events, case.end_ms):
            click.echo(shown(*shrunk(case), case.end_ms))
            found += 1
            if found >= most:
                break
    click.echo(f"{found} disagreements")
    raise SystemExit(1 if found else 0)


if __name__ == "__main__":
    search()
