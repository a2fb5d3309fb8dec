"""Why a listener matched, or why not: each run's life in words. The tracer listens to the machine itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo

from contracts.events import Event
from contracts.plurals import counted
from contracts.versions import Pause
from flows.language.model import Listener, Not, Step, Times
from flows.language.phrases import exact
from flows.machine.machine import Machine, Match
from flows.machine.runs import Run
from flows.machine.trace import TraceEntry, Turn
from flows.replay.ordered import replayed
from flows.subscriber.cap import Cap
from flows.subscriber.wishes import CHANGE_LISTS, Pauses, completed_in_pause


@dataclass
class Life:
    """What happened to the runs that one event opened. They fork, so several ends are possible."""

    opened_by: str
    lines: list[str] = field(default_factory=list)
    matched: bool = False

    def add(self, line: str) -> None:
        """Add a line once: forks of one run share much of their lives."""
        if line not in self.lines:
            self.lines.append(line)


def explain(
    listener: Listener,
    events: Iterable[Event],
    *,
    final_ms: int | None,
    session_gap_ms: int,
    zone: tzinfo = UTC,
    cap: Cap | None = None,
    pauses: tuple[Pause, ...] = (),
) -> str:
    """The transcript of one subscriber's events, which must be in order and of one subscriber.

    ``zone`` and ``cap``: the workspace's. Of the cap the listener's own matches alone take places. ``pauses``: when the
    listener was paused.
    """
    tracer = _Tracer(listener)
    machine = Machine([listener], trace=tracer, zone=zone)
    own = {listener.name: pauses}
    matches, state, seen = replayed(machine, events, gap_ms=session_gap_ms, final_ms=final_ms, pauses=own)
    now_ms = max([final_ms or 0, *(event.occurred_at_ms for event in seen)])
    for run in (
        run for held in state.by_listener.values() for correlation in held.correlations for run in correlation.runs
    ):
        tracer.left(run, now_ms)
    told = _matches(listener, matches, cap, own)
    return "\n".join([*_head(listener, seen, matches), *tracer.transcript(), *told])


def _head(listener: Listener, events: Sequence[Event], matches: Sequence[Match]) -> list[str]:
    who = events[0].subscriber if events else "nobody"
    count = f"{counted(len(events), 'event')}, {counted(len(matches), 'match', 'matches')}"
    return [f"{listener.name}, version {listener.version}, for {who}: {count}."]


def _matches(listener: Listener, matches: Sequence[Match], cap: Cap | None, pauses: Pauses) -> list[str]:
    moving = [match for match in matches if not completed_in_pause(match, pauses)]
    lines, free = list[str](), _free_again(listener, moving, cap)
    for match in matches:
        steps = "; ".join(
            f"{name}: {', '.join(event.event_id for event in events)}" for name, events in match.steps.items()
        )
        lines += ["", f"Match {match.match_id} at {instant(match.matched_at_ms)}", f"  {steps}"]
        if completed_in_pause(match, pauses):
            lines.append("  listener_paused: a row and no command. The listener was paused then; it is not made good")
        if cap is not None and match.match_id in free:
            most = f"{counted(cap.moves, 'move')} in {exact(cap.within_ms)}"
            lines.append(f"  capped: a row and no command. The cap is {most}, and this listener's own took all;")
            lines.append(f"  a place is free again at {instant(free[match.match_id])}")
    return lines


def _free_again(listener: Listener, matches: Iterable[Match], cap: Cap | None) -> dict[str, int]:
    """By the id of each match that finds no place under the cap the instant at which the next one is free."""
    found, given = dict[str, int](), list[int]()
    if cap is None or not any(response.do in CHANGE_LISTS for response in listener.then):
        return found
    for match in matches:
        taken = [at_ms for at_ms in given if match.matched_at_ms - at_ms < cap.within_ms]
        if len(taken) < cap.moves:
            given.append(match.matched_at_ms)
        else:
            found[match.match_id] = min(taken) + cap.within_ms
    return found


def instant(at_ms: int) -> str:
    """An instant for a person: UTC to the millisecond."""
    try:
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)
    except OverflowError:
        return f"{at_ms} ms"  # a deadline may lie behind the last year that has a date
    return at.isoformat(sep=" ", timespec="milliseconds")[:23]


class _Tracer:
    """Collects what the machine tells, by the event that opened the run."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._steps = [element for element in listener.sequence if isinstance(element, Step)]
        self._lives: dict[str, Life] = {}
        self._refused: list[str] = []

    def __call__(self, entry: TraceEntry) -> None:
        if entry.turn is Turn.BLOCKED and entry.event is not None:
            guard = _element(entry.element)
            self._refused.append(
                f"{instant(entry.at_ms)}  {_named(entry.event)} opens no run: {guard} was seen before it"
            )
            return
        opener = entry.run.events[0].event_id if entry.run.events else entry.event.event_id if entry.event else ""
        life = self._lives.setdefault(opener, Life(opener))
        life.matched = life.matched or entry.turn is Turn.MATCHED
        life.add(f"{instant(entry.at_ms)}  {self._words(entry)}")

    def left(self, run: Run, now_ms: int) -> None:
        """A run that is there at the end: it waits still, or nothing has come since its time was over."""
        life = self._lives[run.events[0].event_id]
        over = [at_ms for at_ms in self._ends(run) if at_ms <= now_ms]
        waits = self._pending(run)
        life.add(f"{instant(min(over))}  it dies as it waits for {waits}" if over else f"it still waits for {waits}")

    def _ends(self, run: Run) -> Iterable[int]:
        if run.slot < len(self._steps):
            if self._listener.within_ms is not None:
                yield run.events[0].at_ms + self._listener.within_ms
            within_ms = self._steps[run.slot].within_ms
            if within_ms is not None:
                yield run.anchor[0] + within_ms

    def _pending(self, run: Run) -> str:
        if run.slot == len(self._steps):
            return "the time of the last `not`"
        again = "another event of " if run.repeats or run.filled else ""
        return again + _step(self._steps[run.slot])

    def transcript(self) -> list[str]:
        """All lives, oldest first."""
        lines: list[str] = []
        for number, life in enumerate(self._lives.values(), start=1):
            lines += ["", f"Run {number}, opened by {life.opened_by}"]
            lines += [f"  {line}" for line in life.lines]
        if not self._lives:
            lines += ["", f"No run opened: no event fitted {_element(_first(self._listener))}."]
        if self._refused:
            lines += ["", *self._refused]
        return lines

    def _words(self, entry: TraceEntry) -> str:
        event = _named(entry.event) if entry.event is not None else ""
        if entry.turn in {Turn.OPENED, Turn.ADVANCED}:
            verb = "opens it" if entry.turn is Turn.OPENED else "is taken"
            return f"{event} {verb} as {_element(entry.element)}"
        if entry.turn is Turn.KILLED:
            return self._death(entry, event)
        if entry.turn is Turn.EXPIRED:
            return self._expiry(entry)
        if entry.turn is Turn.MATCHED:
            return (
                f"it is complete: {event} completes it"
                if entry.event
                else "it is complete: the last `not`'s time is over"
            )
        if entry.turn is Turn.OUTRUN:
            return f"it is dropped: the run of {entry.rule} matched with an event at or after this one's first"
        return "that is no match: the cooldown since the last one is not over"

    def _death(self, entry: TraceEntry, event: str) -> str:
        killed = f"{event} kills it as it waits for {self._pending(entry.run)}"
        if entry.rule == "until":
            return f"{killed}: it fits the `until`"
        if entry.rule == "next":
            return f"{killed}: that must come `next`, and the listener describes this event"
        return f"{killed}: it fits {_element(entry.element)}"

    def _expiry(self, entry: TraceEntry) -> str:
        died = f"it dies as it waits for {self._pending(entry.run)}"
        if entry.rule == "within" and self._listener.within_ms is not None:
            return f"{died}: `within: {exact(self._listener.within_ms)}` of the first event is over"
        if isinstance(entry.element, Step) and entry.element.within_ms is not None:
            return f"{died}: `within: {exact(entry.element.within_ms)}` of the event before is over"
        return f"{died}: the session is over (`scope: session`)"


def _first(listener: Listener) -> Step | Not:
    return next(element for element in listener.sequence if isinstance(element, Step))


def _named(event: Event) -> str:
    return f"{event.event_id} ({event.action})"


def _element(element: Step | Not | None) -> str:
    if element is None:
        return "a step"
    if isinstance(element, Not):
        return f"the `not` in element {element.number} ({_actions(element)})"
    loop = "" if element.times == Times() and element.sum is None else ", which repeats"
    return f"{_step(element)} ({_actions(element)}{loop})"


def _step(step: Step) -> str:
    return f"step {step.number}" + (f" `{step.name}`" if step.name else "")


def _actions(element: Step | Not) -> str:
    conditions = [element.condition] if element.condition is not None else list(getattr(element, "all_of", ()))
    names: list[str] = []
    for condition in conditions:
        inner = condition.any_of or (condition,)
        names.append(" or ".join(each.action or "…" for each in inner))
    return " and ".join(names)
