"""Listeners whose moves are other listeners' steps, in random histories: the brute force's matches in any order.

``python -m tests.properties.test_moves_as_events`` runs 2,000 histories; the test fewer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any, NamedTuple

from contracts.codec import replaced
from contracts.errors import ListenerError
from contracts.events import Event, Trust
from flows.language.model import Listener
from flows.machine.machine import Machine
from flows.subscriber.pinned_terms import Terms
from flows.subscriber.stored import Applied
from flows.subscriber.woven import reapplier_of
from tests.properties.case import answer
from tests.properties.generate import GAP_MS, listener_data, parsed, stream
from tests.properties.naive_membership import all_matches
from tests.properties.oracle import Answer
from tests.properties.test_profiles import facts, with_profile

COUNT = 25
ENOUGH_MS = 1 << 50
LISTS = ("h", "g")


class History(NamedTuple):
    """Listeners that hear each other, and what one person does and others do to them."""

    listeners: list[Listener]
    events: list[Event]
    end_ms: int


def place(random: Random) -> dict[str, str]:
    return {"list": random.choice((*LISTS, "*")), "at": "mail"}


def hearing(random: Random, data: Any) -> Any:
    """The data of a listener with joinings and leavings among its conditions."""
    if isinstance(data, list):
        return [hearing(random, each) for each in data]
    if not isinstance(data, dict):
        return data
    found = {name: hearing(random, each) for name, each in data.items()}
    if isinstance(found.get("action"), str) and random.random() < 0.35:
        found["action"] = random.choice(("list_joined", "list_joined", "list_left", "tag_added", "session_ended"))
        found.pop("where", None)
        if found["action"] == "session_ended" and random.random() < 0.5:
            found["where"] = random.choice(({"events": {"at_least": 2}}, {"duration_ms": {"less_than": 3_000}}))
        if found["action"].startswith("list") and random.random() < 0.7:
            found["where"] = {"list": random.choice(LISTS)}
            if random.random() < 0.2:
                found["where"]["by"] = random.choice(("segma", "person", "import"))
    if {"action", "not"} & set(found) and random.random() < 0.2:
        asked = random.choice(("in_list", "not_in_list", "has_tag"))
        found[asked] = {"tag": "warm", "at": "mail"} if asked == "has_tag" else place(random)
    return found


def response(random: Random) -> dict[str, dict[str, str]]:
    one, other = random.sample(LISTS, k=2)
    return random.choice(
        (
            {"add": {"to": one, "at": "mail"}},
            {"remove": {"from": one, "at": "mail"}},
            {"move": {"from": one, "to": other, "at": "mail"}},
            {"move": {"from": one, "to": other, "at": "mail"}},
            {random.choice(("tag", "untag")): {"add": "warm", "at": "mail"}},
        )
    )


def short(random: Random) -> dict[str, Any]:
    """The data of a listener that moves make go on and on: a joining or leaving, perhaps a wait, perhaps a page."""
    moved: dict[str, Any] = {"action": random.choice(("list_joined", "list_joined", "list_left", "session_ended"))}
    if moved["action"] != "session_ended" and random.random() < 0.7:
        moved["where"] = {"list": random.choice(LISTS)}
    sequence: list[Any] = [moved]
    if random.random() < 0.3:
        sequence.insert(random.choice((0, 1)), {"action": random.choice(("page_viewed", "list_left"))})
    if random.random() < 0.3:
        sequence.append({"not": random.choice(("product_bought", "list_left")), "for": random.choice(("1s", "3s"))})
    return {"sequence": sequence}


def opener(random: Random) -> dict[str, Any]:
    """The data of a listener that one event completes."""
    return {"sequence": [{"action": random.choice(("page_viewed", "product_added", "email_opened"))}]}


def any_kind(random: Random) -> dict[str, Any]:
    """The data of a listener of any kind, which may hear of moves."""
    return random.choice((lambda each: hearing(each, listener_data(each)), short, short, opener))(random)


def listener(random: Random, name: str, make: Callable[[Random], dict[str, Any]] = any_kind) -> Listener:
    while True:
        data = make(random)
        data = with_profile(random, data) if random.random() < 0.2 else data
        then = [response(random) for _ in range(random.choice((1, 1, 2)))]
        for each in then:
            if "untag" in each:
                each["untag"] = {"remove": "warm", "at": "mail"}
        data |= {"listener": name, "then": then}
        if random.random() < 0.1:
            data["in_list"] = place(random)
        try:
            return parsed(data)
        except ListenerError:
            continue


def by_others(random: Random, events: list[Event]) -> list[Event]:
    """Joinings and leavings that platforms, imports and the person bring about, some at the time of an event."""
    found = []
    for number in range(random.randint(0, 4)):
        near = random.choice(events)
        of_tag = random.random() < 0.2
        action = random.choice(("tag_added", "tag_removed") if of_tag else ("list_joined", "list_left"))
        said = {"account": "mail", "by": random.choice(("person", "platform", "import"))}
        said |= {"tag": "warm"} if of_tag else {"list": random.choice(LISTS)}
        found.append(
            replaced(
                near,
                event_id=f"m{number}",
                action=action,
                occurred_at_ms=max(near.occurred_at_ms + random.choice((-1_500, 0, 0, 500)), 0),
                order=random.randint(0, 20),
                properties=said,
                trust=random.choice((Trust.SERVER, Trust.TOKEN)),
                provisional=False,
                stitched=False,
                verdict="",
            )
        )
    return found


def histories(seed: int, count: int) -> Iterator[tuple[History, Random]]:
    random = Random(seed)
    for _ in range(count):
        listeners = [listener(random, f"l{number}") for number in range(random.choice((2, 2, 3)))]
        events = stream(random)[:9]
        end_ms = events[-1].occurred_at_ms + 20_000
        every = [*events, *by_others(random, events)]
        every += facts(random, events) if random.random() < 0.2 else []
        yield History(listeners, every, end_ms), random


def expected(history: History) -> dict[str, tuple[Answer, int]]:
    """By match id: the match, and how many moves lie behind it."""
    found = all_matches(history.listeners, history.events, gap_ms=GAP_MS, end_ms=history.end_ms)
    return {each.answer[0]: (each.answer, each.depth) for each in found}


def note(found: dict[str, Answer], applied: Applied) -> None:
    for match in applied.retractions:
        del found[match.match_id]
    found |= {match.match_id: answer(match) for match in (*applied.matches, *applied.amended)}


def arrived(history: History, order: list[Event]) -> dict[str, tuple[Answer, int]]:
    reapplier = reapplier_of(Machine(history.listeners), Terms(ENOUGH_MS, GAP_MS, ENOUGH_MS))
    timeline, found = reapplier.new("s"), dict[str, Answer]()
    for number, event in enumerate(order):
        for applied in (
            reapplier.put(timeline, event, log_time_ms=event.occurred_at_ms),
            reapplier.merge(timeline)[1] if timeline.waiting and number % 2 else Applied(),
        ):
            note(found, applied)
        if number % 3 == 2:
            timeline = reapplier.decode(reapplier.encode(timeline))
    note(found, reapplier.merge(timeline)[1])
    while (due_ms := reapplier.next_deadline(timeline)) is not None and due_ms <= history.end_ms:
        applied = reapplier.advance(timeline, due_ms)
        assert not applied.retractions
        note(found, applied)
        timeline = reapplier.decode(reapplier.encode(timeline))
    return {name: (each, timeline.depths.get(name, 1)) for name, each in found.items()}


def compare(seed: int, count: int) -> tuple[int, int]:
    """Compare so many histories in four orders of arrival; how many matches there were, and how many by a move."""
    found = deep = 0
    for number, (history, random) in enumerate(histories(seed, count)):
        wanted = expected(history)
        found += len(wanted)
        deep += sum(depth > 1 for _, depth in wanted.values())
        events = history.events
        in_order = sorted(events, key=lambda each: each.place)
        for order in (in_order, random.sample(events, k=len(events)), in_order[::-1], events):
            assert arrived(history, order) == wanted, (number, history, order)
    return found, deep


def test_any_order_of_arrival_ends_with_the_brute_force_answer() -> None:
    found, deep = compare(81, COUNT)
    assert found > COUNT // 2
    assert deep > COUNT // 5


if __name__ == "__main__":
    matches, by_moves = compare(82, 2_000)
    print(f"{matches} matches in 2,000 histories, {by_moves} of them by another listener's move")
