"""One version's part of stored states, put into others in the place of what they hold of it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from contracts.codec import replaced
from flows.machine.runs import Version
from flows.machine.states import StoredRun, StoredState, StoredStates


def grafted(
    onto: StoredStates, graft: StoredStates, pairs: Sequence[tuple[int, int]], version: Version
) -> StoredStates:
    """Return one state for each pair: the state ``onto[first]`` with the version's part of ``graft[second]``.

    ``graft``: states of a machine in which nobody but the version hears.
    """
    own = [tuple([each for each in roster if each[1:] != version]) for roster in onto.together]
    states = [_grafted(onto.states[one], graft.states[other], own, version) for one, other in pairs]
    return replaced(onto, states=tuple(states), together=(*own, *graft.together))


def _grafted(
    onto: StoredState, graft: StoredState, own: Sequence[tuple[tuple[int, str, int], ...]], version: Version
) -> StoredState:
    shift = len(own)
    bits = [{bit for bit, _, _ in roster} for roster in own]
    by_listener = [each for each in onto.by_listener if each[:2] != version]
    moved = [StoredRun(each.tree + shift, each.who, each.events, each.noted) for each in graft.runs]
    dropped = [each for each in onto.dropped if each[1] in bits[each[0]]]
    return StoredState(
        tuple(sorted([*by_listener, *graft.by_listener], key=lambda each: each[:2])),
        # A tree holds its runs in the order of their first events.
        tuple(sorted([*onto.runs, *moved], key=lambda run: run.events[0].place)),
        (*dropped, *((tree + shift, bit, count) for tree, bit, count in graft.dropped)),
    )
