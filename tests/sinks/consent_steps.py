"""What can happen in a random history of consent."""

from __future__ import annotations

import random
from typing import NamedTuple

PEOPLE, LISTS = ("anna", "ben"), ("news", "hot", "vip")


class Step(NamedTuple):
    """One thing that happens. ``after``: how many steps later a report of it comes; -1: never."""

    kind: str
    person: str = ""
    name: str = ""
    other: str = ""
    number: int = 0


def random_steps(chance: random.Random) -> list[Step]:
    """A history of up to thirty steps."""
    steps = [Step("put", each, chance.choice(LISTS)) for each in PEOPLE for _ in range(chance.randrange(3))]
    for _ in range(chance.randrange(4, 30)):
        kind = chance.choices(
            (
                "move",
                "add",
                "remove",
                "undo",
                "token",
                "leave",
                "join",
                "put",
                "taken",
                "erase",
                "altogether",
                "report",
                "import",
                "crash",
                "bounce",
                "complain",
                "told",
                "answer",
                "mend",
                "fail",
            ),
            (24, 10, 6, 8, 3, 18, 8, 6, 5, 2, 2, 14, 4, 8, 2, 2, 4, 4, 2, 2),
        )[0]
        name, other = chance.sample(LISTS, 2)
        steps.append(Step(kind, chance.choice(PEOPLE), name, other, chance.randrange(1, 40)))
    return steps
