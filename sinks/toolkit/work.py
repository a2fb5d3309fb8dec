"""One change on its way through a list platform: what was seen, what is to do, what was done."""

from __future__ import annotations

from collections.abc import Sequence

from sinks.base import MADE, Answer, Change, Done, Leaving, Marks
from sinks.toolkit.consent import Seen, shows
from sinks.toolkit.platform import PersonFault


class Work:
    """One change on its way: the person's state as seen, the steps to do, those done, and the trouble met."""

    def __init__(self, change: Change, seen: Seen, leavings: Sequence[Leaving], asking: Sequence[str]) -> None:
        self.change, self.seen, self.person, self.leavings = change, seen, seen.person, tuple(leavings)
        self.joinings, self.number = joinings_of(change, seen), seen.number
        self.list_ids: dict[str, str] = {}
        self.trouble: PersonFault = None
        self.done: list[str] = []
        self.put = [name for name in change.add if name not in seen.lists]
        self.invite = list(asking[:1])
        self.remove = [name for name in change.remove if name in seen.lists]
        self.tag = [name for name in change.tag if name not in seen.tags]
        self.untag = [name for name in change.untag if name in seen.tags]
        self.write = [name for name, value in change.fields if seen.fields.get(name) != value]
        if self.invite:
            # NOTE: nothing else is done of a change before the person has confirmed.
            self.put, self.remove, self.tag, self.untag, self.write = [], [], [], [], []

    @property
    def marks(self) -> Marks:
        """What is about to be changed."""
        return (
            *([MADE] if self.makes else []),
            *(f"?{name}" for name in self.invite),
            *(f"+{name}" for name in self.put),
            *(f"-{name}" for name in self.remove),
            *(f"t+{name}" for name in self.tag),
            *(f"t-{name}" for name in self.untag),
            *(f"={name}" for name in self.write),
        )

    @property
    def adds(self) -> bool:
        """Whether the person is put into any list."""
        return bool(self.put)

    @property
    def makes(self) -> bool:
        """Whether the person is made known to the platform."""
        return bool(self.put or self.invite) and not self.person

    def answer(self) -> Answer:
        """What came of the change."""
        if self.trouble is not None:
            found = self.trouble._replace(changed=tuple(self.done), leavings=self.leavings, list_ids=self.list_ids)
            return found._replace(joinings=self.joinings, number=self.number)
        said = "asked to confirm" if self.invite else "changed" if self.done else "already so"
        return Done(tuple(self.done), said, self.leavings, self.joinings, self.list_ids, self.number)


def joinings_of(change: Change, seen: Seen) -> tuple[str, ...]:
    """The lists that the person was said to have joined, and where the look shows them."""
    return tuple(dict.fromkeys(name for _, name in change.unless_in if shows(seen, name)))
