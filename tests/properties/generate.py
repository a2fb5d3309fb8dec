"""Listeners and streams by the thousand: small alphabets and small times, so that ties and boundaries happen.

A listener is made as the plain data of its YAML document and read by the real parser, so the parser takes part.
"""

from __future__ import annotations

from random import Random
from typing import Any

import yaml

from contracts.actions import VOCABULARY
from contracts.events import Event, Trust
from flows.language.model import Listener
from flows.language.parse import parse_listeners

ACTIONS = ("page_viewed", "product_added", "product_bought", "email_opened", "button_clicked", "page_clicked")
SENT = ACTIONS[:5]
VALUES = (1, 2, "x", "xy")
GAP_MS = 6_000

Data = dict[str, Any]


def listener_data(random: Random) -> Data:
    """A listener as data; not every one is valid."""
    sequence: list[Data] = []
    count = random.choice((1, 2, 2, 2, 2, 3, 3, 4))
    names: list[str] = []
    if random.random() < 0.12:
        sequence.append(_first_not(random))
    for index in range(count):
        name = f"s{index}" if random.random() < 0.8 else None
        sequence.append(_step(random, names, name, is_first=index == 0))
        if name:
            names.append(name)
        if index + 1 < count and random.random() < 0.2:
            sequence.append(_not(random, names))
    timed = False
    if random.random() < 0.25:
        if random.random() < 0.2:
            sequence.append(_not(random, names))
        sequence.append(_not(random, names))
        timed = random.random() < 0.7
        if timed:
            sequence[-1]["for"] = _span(random)
    data: Data = {"listener": "generated", "sequence": sequence}
    if random.random() < 0.4 or ("not" in sequence[-1] and not timed):
        data["within"] = _span(random, 4, 14)
    if random.random() < 0.12:
        data["scope"] = "session"
    if random.random() < 0.2:
        data["repeat"] = random.choice(("once", {"cooldown": _span(random, 2, 9)}))
    if random.random() < 0.08:
        data["per"] = random.choice(("k", "o.k", "items[].sku"))
    if random.random() < 0.06:
        data["trust"] = random.choice(("token", "server"))
    if random.random() < 0.05:
        data["version"] = random.randint(1, 9)
    return data


def _span(random: Random, low: int = 1, high: int = 8) -> str:
    return f"{random.randint(low, high)}s"


def _action(random: Random) -> str:
    return "*" if random.random() < 0.05 else random.choice(ACTIONS[:3] if random.random() < 0.75 else ACTIONS)


def _condition(random: Random, names: list[str], depth: int = 0) -> Data:
    data: Data = {}
    if depth < 2 and random.random() < 0.12:
        data["any_of"] = [_condition(random, names, depth + 1) for _ in range(random.randint(1, 3))]
    else:
        data["action"] = _action(random)
    if random.random() < 0.33:
        data["where"] = dict(_line(random, names) for _ in range(random.choice((1, 1, 1, 2))))
    if random.random() < 0.05:
        data["session"] = _session(random)
    if random.random() < 0.04:
        data["trust"] = random.choice(("browser", "token", "server"))
    return data


def _session(random: Random) -> Data:
    if random.random() < 0.5:
        return {"events": {random.choice(("at_least", "more_than", "at_most", "less_than")): random.randint(1, 4)}}
    return {"duration": {random.choice(("at_least", "less_than")): _span(random, 1, 6)}}


def _line(random: Random, names: list[str]) -> tuple[str, Any]:
    if names and random.random() < 0.55:
        return _correlated(random, names)
    kind = random.randrange(12)
    if kind == 0:
        return "machine", random.choice((True, {"not_equals": True}, {"exists": True}))
    if kind == 1:
        return "v", {random.choice(("at_least", "more_than", "at_most", "less_than")): random.randint(1, 4)}
    if kind == 2:
        return "v", {"between": sorted(random.choices(range(5), k=2))}
    if kind == 3:
        return random.choice(("tags", "k")), {"contains": random.choice(("x", 1))}
    if kind == 4:
        return random.choice(("items[].sku", "o.k", "a.b")), random.choice(VALUES)
    if kind == 5:
        return "k", {"exists": random.random() < 0.6}
    if kind == 6:
        return "k", {random.choice(("not_equals", "equals")): random.choice(VALUES)}
    if kind == 7:
        return "k", {random.choice(("none_of", "one_of")): [1, "x"]}
    if kind == 8:
        return "k", random.choice((["x*", 2], "x*", "*y", "*"))
    if kind == 9:
        return "k", {random.choice(("starts_with", "ends_with")): random.choice("xy")}
    if kind == 10:
        return "k", {"matches": random.choice(("^x$", "y", "x.?"))}
    return "k", random.choice((1, 2, "x", [1, 2], [2, "x"]))


def _correlated(random: Random, names: list[str]) -> tuple[str, Any]:
    step = random.choice(names)
    kind = random.randrange(10)
    if kind < 5:
        path = random.choice(("k", "k", "k", "o.k", "items[].sku"))
        return random.choice((path, path, "k")), {"same_as": f"{step}.{path}"}
    if kind == 5:
        return "k", {"differs_from": f"{step}.k"}
    if kind == 6:
        return random.choice(("tags", "items[].sku")), {
            "shares_with": f"{step}.{random.choice(('tags', 'items[].sku'))}"
        }
    if kind == 7:
        return "v", {"between": random.choice(([0, f"{step}.v"], [f"{step}.v", 9]))}
    return "v", {random.choice(("at_least", "more_than", "at_most", "less_than")): f"{step}.v"}


def _step(random: Random, names: list[str], name: str | None, *, is_first: bool) -> Data:
    data: Data = {"step": name} if name else {}
    if random.random() < 0.1:
        data["all_of"] = [_condition(random, names) for _ in range(random.choice((2, 2, 3)))]
        if random.random() < 0.2:
            data["where"] = dict([_line(random, names)])
    else:
        data |= _condition(random, names)
        roll = random.random()
        if roll < 0.25:
            data["times"] = random.choice(
                (
                    2,
                    {"at_least": 1},
                    {"at_least": 2},
                    {"at_least": 0},
                    {"exactly": 2},
                    {"between": [1, 2]},
                    {"between": [0, 2]},
                )
            )
            if random.random() < 0.25:
                data["until"] = _condition(random, names)
            if random.random() < 0.2:
                data["distinct_by"] = random.choice(("k", "k", "items[].sku"))
        elif roll < 0.31:
            data["sum"] = {"of": random.choice(("v", "v", "items[].n")), "at_least": random.randint(2, 6)}
    if random.random() < 0.15:
        data["optional"] = True
    if random.random() < 0.12:
        data["next"] = True
    if random.random() < (0.1 if is_first else 0.25):
        data["within"] = _span(random, 2, 8)
    if random.random() < 0.08:
        data["after"] = _span(random, 1, 3)
    return data


def _not(random: Random, names: list[str]) -> Data:
    if random.random() < 0.3:
        return {"not": _condition(random, names)}
    data: Data = {"not": _action(random)}
    if random.random() < 0.4:
        data["where"] = dict([_line(random, names)])
    return data


def _first_not(random: Random) -> Data:
    return {**_not(random, []), "for": "ever" if random.random() < 0.3 else _span(random, 1, 5)}


def parsed(data: Data) -> Listener:
    """The listener, read by the real parser. Raises ``ListenerError`` where it is not valid."""
    text = yaml.safe_dump(data, sort_keys=False)
    return parse_listeners([("generated.yaml", text.encode())], known_actions=VOCABULARY)[0]


def stream(random: Random, length: int | None = None) -> list[Event]:
    """Events of one subscriber in their order, with ties in time."""
    at_ms, found = 0, []
    for index in range(length if length is not None else random.randint(2, 16)):
        at_ms += random.choice((0, 500, 1_000, 1_000, 1_000, 2_000, 3_000, 7_000 if random.random() < 0.3 else 1_000))
        action = random.choice(SENT[:3] if random.random() < 0.75 else SENT)
        found.append(
            Event(
                workspace="w",
                subscriber="s",
                event_id=f"e{index}",
                action=action,
                occurred_at_ms=at_ms,
                order=index,
                properties=_properties(random, action),
                trust=random.choice((Trust.BROWSER, Trust.TOKEN, Trust.TOKEN, Trust.SERVER)),
                stitched=random.random() < 0.05,
                provisional=random.random() < 0.03,
                verdict="machine:agent" if random.random() < 0.02 else "",
            )
        )
    return found


def _properties(random: Random, action: str) -> Data:
    data: Data = {}
    if random.random() < 0.9:
        data["k"] = random.choice((*VALUES, None, 1.0, True) if random.random() < 0.15 else VALUES)
    if random.random() < 0.6:
        data["v"] = random.choice((0, 1, 2, 3, 2.5, "3"))
    if random.random() < 0.3:
        data["tags"] = random.sample(["x", "y", 1, 2], k=random.randint(0, 2))
    if random.random() < 0.3:
        data["items"] = [{"sku": random.choice(VALUES), "n": random.randint(0, 2)} for _ in range(random.randint(0, 2))]
    if random.random() < 0.2:
        data["o"] = {"k": random.choice(VALUES)}
    if random.random() < 0.1:
        data[random.choice(("a.b", "a"))] = random.choice((1, "x", {"b": 1}))
    if action == "email_opened" and random.random() < 0.5:
        data["machine"] = random.random() < 0.7
    return data
