"""What a version that asks for its past takes over of a person: a shadow's state at an instant (SEMANTICS 9). Pure."""

from __future__ import annotations

from collections.abc import Sequence

from contracts.codec import Value
from contracts.past import PastState
from flows.backtest.person import found_of
from flows.backtest.replay import Arrival, replayed
from flows.backtest.subject import Subject


class PastFound(Value, frozen=True):
    """A person's state, and what is told of it: ``runs`` in flight, and whether they ``matched`` already."""

    past: PastState
    runs: int = 0
    matched: bool = False


def past_of(workspace: str, subject: Subject, arrivals: Sequence[Arrival], until_ms: int) -> PastFound | None:
    """Return what a person's arrivals (there is one at least) come to for the one version of a subject.

    Those that the log took at ``until_ms`` or later are the flow's. None: nothing came before.
    """
    own = [each for each in arrivals if each[0].log_time_ms < until_ms and each[1] <= until_ms]
    if not own:
        return None
    found, person = replayed(subject, own, until_ms)
    listener, subscriber = subject.listeners[0], own[0][0].subscriber
    state = subject.engine.encode(person)
    past = PastState(workspace, subscriber, listener.name, listener.version, until_ms, state)
    return PastFound(past, len(found.waiting), bool(found_of(subscriber, found).matches))
