"""The moves that link a person's lists: whose leaving reaches which others (docs/semantics.md 8.1, 1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Link(NamedTuple):
    """A move that put somebody into a list: out of which, into which, when."""

    out_of: str
    into: str
    at_ms: int


class Links:
    """Person → command → the move that it carried out, and that was not taken back."""

    def __init__(self) -> None:
        self._of: dict[str, dict[str, Link]] = {}

    def add(self, subscriber: str, command_id: str, link: Link) -> None:
        """A move was carried out."""
        self._of.setdefault(subscriber, {})[command_id] = link

    def cut(self, subscriber: str, command_id: str) -> None:
        """A move was taken back."""
        self._of.get(subscriber, {}).pop(command_id, None)

    def forget(self, subscriber: str, command_id: str) -> None:
        """A move's outcome is no longer in the log. The newest between two lists stays: it reaches what all did."""
        links = self._of.get(subscriber, {})
        link = links.pop(command_id, None)
        if link is not None:
            pair = "\0".join(link[:2])
            links[pair] = max(link, links.get(pair, link))

    def end_list(self, list_name: str) -> None:
        """A list is no more: what linked it is no more either."""
        for subscriber, links in self._of.items():
            self._of[subscriber] = {each: link for each, link in links.items() if list_name not in link[:2]}

    def linked(self, subscriber: str, lists: Iterable[str], joined_ms: Mapping[str, int]) -> set[str]:
        """These lists, and all whose leaving reaches them by the person's moves from and to them (8.1, 1).

        ``joined_ms``: when the person joined a list by themselves last; no earlier move reaches it.
        """
        links, found, todo = self._of.get(subscriber, {}).values(), set(lists), list(lists)
        while todo:
            name = todo.pop()
            near = [each for each in links if name in each[:2] and each.at_ms > joined_ms.get(name, -1)]
            new = {other for each in near for other in each[:2]} - found
            found |= new
            todo += new
        return found

    def reached(
        self, subscriber: str, list_name: str, joined_ms: Mapping[str, int], *, until_ms: int
    ) -> dict[str, bool]:
        """The lists that leaving this one reaches → whether moves led there from it, one after another.

        ``joined_ms``: as of :meth:`linked`. ``until_ms``: of moves that were made until then.
        """
        links = [each for each in self._of.get(subscriber, {}).values() if each.at_ms <= until_ms]
        found, todo = {list_name: True}, [list_name]
        while todo:
            name = todo.pop()
            for each in links:
                for other, onward in ((each.into, True), (each.out_of, False)):
                    here = each.out_of if onward else each.into
                    if here == name and each.at_ms > joined_ms.get(other, -1):
                        forward = found[name] and onward
                        if other not in found or (forward and not found[other]):
                            found[other] = forward
                            todo.append(other)
        del found[list_name]
        return found
