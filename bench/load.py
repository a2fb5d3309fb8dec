"""The events and listeners of ``bench.detect`` and ``bench.race``: the Flink harness's own, made by our own code.

Events: seeded, slightly out of order, a few subscribers far busier than the rest, nine actions. Listeners: *dense*,
listener i is ``email_clicked``, ``page_viewed`` of category i mod 5, ``product_added`` within 10 + i minutes;
*selective*, listener i names one of 1,000 campaigns.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Final

from contracts.codec import to_json
from contracts.events import Event, LogTime, Trust
from contracts.topics import subscriber_key
from flows.language.model import Listener
from flows.language.parse import parse_listeners

SEED: Final = 7
START_MS: Final = 1_767_225_600_000
CATEGORIES: Final = ("shoes", "hats", "coats", "socks", "bags")
CAMPAIGNS: Final = 1_000
ACTIONS: Final = (
    ("page_viewed", "page_view", 45),
    ("page_clicked", "webpage_click", 20),
    ("scrolled_past", "scroll", 10),
    ("hovered", "hover", 5),
    ("email_opened", "email_open", 5),
    ("email_clicked", "email_click", 5),
    ("product_added", "add_to_basket", 5),
    ("searched", "search", 3),
    ("product_bought", "buy", 2),
)
"""Our name, the harness's name, and its share of the events in percent."""
OURS: Final = tuple(name for name, _, share in ACTIONS for _ in range(share))
THEIRS: Final = {ours: theirs for ours, theirs, _ in ACTIONS}
DELAYS_MS: Final = (0, 0, 0, 5, 40, 900)
LOG_TIME_EVERY_MS: Final = 100


def facts(count: int, subscribers: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """So many events: when the log took each, in ms, and what it is, under the names of both harnesses."""
    random, log_ms = Random(SEED), START_MS
    for number in range(count):
        log_ms += random.choice((0, 1, 1, 2))
        at_ms = log_ms - random.choice(DELAYS_MS)
        category = random.choice(CATEGORIES)
        busy = random.random() < 0.2
        who = int(random.paretovariate(0.9)) % subscribers if busy else random.randrange(subscribers)
        yield (
            log_ms,
            {
                "id": f"{number:016x}",
                "ts": at_ms,
                "subscriber": f"s{who}",
                "action": random.choice(OURS),
                "url": f"/{category}/p{random.randrange(200)}",
                "category": category,
                "product": f"p{random.randrange(200)}",
                "value": random.randrange(1, 200),
            },
        )


def event_of(log_ms: int, fact: dict[str, Any], campaigns: Random | None = None) -> Event:
    """One of them as ours. ``campaigns``: of the selective load, where an email's click gets its campaign."""
    properties = {"path": fact["url"], "category": fact["category"], "product": fact["product"], "value": fact["value"]}
    if campaigns is not None and fact["action"] == "email_clicked":
        properties["campaign"] = f"campaign-{campaigns.randrange(CAMPAIGNS)}"
    return Event(
        workspace="shop",
        subscriber=fact["subscriber"],
        event_id=fact["id"],
        action=fact["action"],
        occurred_at_ms=fact["ts"],
        properties=properties,
        trust=Trust.TOKEN,
        received_at_ms=log_ms,
        log_time_ms=log_ms,
    )


def write_events(path: Path, count: int, subscribers: int, *, selective: bool) -> None:
    """A file of records as the topic ``events`` holds them: key, tab, JSON; without key how far log time came."""
    campaigns = Random(SEED) if selective else None
    said_ms = 0
    with path.open("wb") as file:
        for log_ms, fact in facts(count, subscribers):
            if log_ms - said_ms >= LOG_TIME_EVERY_MS:
                said_ms = log_ms
                file.write(b"\t" + to_json(LogTime(0, log_ms)) + b"\n")
            event = event_of(log_ms, fact, campaigns)
            file.write(subscriber_key(event.workspace, event.subscriber) + b"\t" + to_json(event) + b"\n")


def write_theirs(path: Path, count: int, subscribers: int) -> None:
    """The same events in the harness's own words, a JSON line each."""
    with path.open("w", encoding="utf-8") as file:
        for _, fact in facts(count, subscribers):
            file.write(json.dumps({**fact, "action": THEIRS[fact["action"]]}) + "\n")


def listeners(load: str, count: int) -> list[Listener]:
    """``dense`` or ``selective`` listeners."""
    make = _dense if load == "dense" else _selective
    files = [(f"l-{number}.yaml", make(number).encode()) for number in range(count)]
    return parse_listeners(files, known_actions=frozenset(THEIRS))


def _dense(number: int) -> str:
    return f"""listener: l-{number:04}
within: {10 + number}m
sequence:
  - action: email_clicked
  - {{action: page_viewed, where: {{category: {CATEGORIES[number % 5]}}}}}
  - action: product_added
"""


def _selective(number: int) -> str:
    return f"""listener: l-{number:04}
within: {10 + number % 100}m
sequence:
  - {{action: email_clicked, where: {{campaign: campaign-{number % CAMPAIGNS}}}}}
  - {{action: page_viewed, where: {{category: {CATEGORIES[number % 5]}}}}}
  - action: product_added
"""
