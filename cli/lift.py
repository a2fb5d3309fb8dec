"""``segma lift``: whether what a listener does is good for anything."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

import click

from analytics.lift import CONFIDENCE, POWER, Group, Lift
from analytics.named_queries import instant, named_queries
from cli.history import Asking, workspace_option
from cli.match import duration_option
from cli.output import Exit, err, fail, out, print_json
from cli.up import home_option, json_option
from contracts.plurals import counted
from transport.config import wall_clock_ms

WIDTH: Final = 48
"""Columns of the picture."""


@click.command("lift")
@click.argument("listener")
@click.option("--goal", required=True, metavar="ACTION", help="What the moved should do more often.")
@click.option("--within", default="7d", show_default=True, callback=duration_option, help="Of the match.")
@click.option("--since", default="1970-01-01", help="First matches from then on: ISO 8601 (UTC), or `-90d`.")
@click.option("--until", default="now", help="What was known by then.")
@workspace_option
@home_option
@json_option
def lift_command(  # noqa: PLR0917
    listener: str, goal: str, within: int, since: str, until: str, workspace: str | None, home: Path, as_json: bool
) -> None:
    """Say how many more of those whom LISTENER moved reached a goal than of those whom it held out.

    Everybody counts once, from their first match on, in the group in which the hash has put them, whatever their
    platform did with the move. Who has not had the whole time yet is left out.
    """
    if within < 1_000 or within % 1_000:
        fail(f"--within {within} ms: whole seconds, at least one", Exit.USAGE)
    given = {"listener": listener, "goal": goal, "seconds": str(within // 1_000), "since": since, "until": until}
    columns, rows = Asking(home, workspace).named(named_queries()["lift"], given)
    now_ms = wall_clock_ms()
    begins, ends = instant(since, now_ms), instant(until, now_ms)
    if begins >= ends:
        fail(f"--since {since} is not before --until {until}", Exit.USAGE)
    if begins >= instant("now", now_ms):
        fail(f"--since {since} is still to come", Exit.USAGE)
    found: dict[str, int] = dict(zip(columns, rows[0], strict=True))
    lift = Lift(Group(found["moved"], found["moved_did"]), Group(found["held_out"], found["held_out_did"]))
    if as_json:
        print_json({"listener": listener, "goal": goal, "within_ms": within, "open": found["open"], **as_json_of(lift)})
    else:
        for line in in_words(listener, goal, lift, found):
            out.print(line)
    _warn(listener, goal, found)
    if not (lift.moved.people and lift.held_out.people):
        sys.exit(Exit.PROBLEMS)


def _warn(listener: str, goal: str, found: dict[str, int]) -> None:
    """Say on standard error what the history does not hold."""
    if not found["matches"]:
        err.print(f"segma: the history holds no match of `{listener}` that moved or held out anybody")
    if not found["reached_by"]:
        err.print(f"segma: the history holds nobody who did `{goal}`")


def as_json_of(lift: Lift) -> dict[str, Any]:
    """The figures under their names."""
    groups = {
        name: {"people": group.people, "did": group.did, "rate": group.rate, "interval": group.interval}
        for name, group in (("moved", lift.moved), ("held_out", lift.held_out))
    }
    told = {"difference": lift.difference, "interval": lift.interval, "told": lift.is_told}
    return {**groups, **told, "confidence": CONFIDENCE, "needed": lift.needed, "power": POWER}


def in_words(listener: str, goal: str, lift: Lift, found: dict[str, int]) -> list[str]:
    """A line a group with its picture, the difference, and what can be said of it."""
    groups = (("moved", lift.moved), ("held out", lift.held_out))
    top = max(group.interval[1] for _, group in groups)
    lines = [f"{listener}: who did {goal} after their first match"]
    lines += [f"  {name:<9}{_bar(group, top)} {_rate(group)}" for name, group in groups]
    lines.append(f"  {'':9}{'0 %':<{WIDTH - 8}}{_percent(top):>8}")
    if found["open"]:
        lines.append(f"  {found['open']:,} more have not had their whole time yet.")
    return [*lines, *_verdict(lift)]


def _verdict(lift: Lift) -> list[str]:
    if not lift.held_out.people:
        return ["Nobody was held out: with `holdout: 10%` on the listener this question has an answer later."]
    if not lift.moved.people:
        return ["Nobody was moved."]
    low, high = lift.interval
    told = f"{_points(lift.difference)} (between {_points(low)} and {_points(high)}, {100 * CONFIDENCE:.0f} % sure)"
    if lift.is_told:
        return [f"The moved did it {'more' if lift.difference > 0 else 'less'} often: {told}."]
    lines = [f"It cannot be told yet whether the moved did it more often: {told}."]
    if lift.needed is not None:
        lines.append(
            f"A difference as large as this one would take about {counted(lift.needed, 'person', 'people')} in this "
            f"share ({100 * POWER:.0f} % likely); there are {lift.moved.people + lift.held_out.people:,}."
        )
    return lines


def _bar(group: Group, top: float) -> str:
    """The rate as a mark in its interval."""
    at, low, high = (round(value / top * (WIDTH - 1)) for value in (group.rate, *group.interval))
    return "".join("●" if place == at else "─" if low <= place <= high else " " for place in range(WIDTH))


def _rate(group: Group) -> str:
    low, high = group.interval
    return f"{_percent(group.rate)} ({group.did:,} of {group.people:,}; {_percent(low)} to {_percent(high)})"


def _percent(rate: float) -> str:
    return f"{100 * rate:.1f} %"


def _points(difference: float) -> str:
    return f"{100 * difference:+.1f} points"
