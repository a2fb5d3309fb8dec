"""Listeners that begin alike, as one tree: what they share is tested once and remembered once.

A *plain* listener's steps are single conditions of one event each, without correlation, ``not`` or loop. Plain
listeners with an equal first step make one tree; a node stands for the steps from the first to some step, and a
listener leaves the others' way where its next step differs. A run of the tree stands for the runs of all listeners
that have taken exactly its events: bit n of ``who`` is the tree's listener n. Everything that differs between
listeners (windows, what follows, matches) only takes bits away, so each listener is answered as if it were alone.

The rules are those of :mod:`flows.machine.program` (SEMANTICS 3) as far as plain listeners can meet them. Pure.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from flows.language.compile import Test
from flows.language.model import Condition, Listener, Repeat, Scope, Step
from flows.language.paths import Values, values_at
from flows.machine.compiled import Facts, Tests, scope_of
from flows.machine.runs import Taken, TreeRun, TreeRuns

Won = tuple[int, TreeRun]
"""Whose match it is, as bits, and the run with all its events."""
_NOBODY: Final[tuple[Won, ...]] = ()


class TreeNode:
    """Some steps, from the first on. ``who``: the listeners that have them; ``ends``: those that have no more.

    ``before`` and ``notes``: how many values the earlier steps note, and what this one notes.
    """

    __slots__ = (
        "_always",
        "_texts",
        "_wild",
        "before",
        "children",
        "depth",
        "ends",
        "notes",
        "number",
        "parent",
        "test",
        "who",
    )

    def __init__(self, number: int, parent: TreeNode | None, test: Test) -> None:
        self.number = number
        self.parent = parent
        self.depth: int = 1 if parent is None else parent.depth + 1
        self.test = test
        self.before = 0
        self.who = 0
        self.ends = 0
        self.children: list[TreeNode] = []
        self.notes: dict[str, Values] = {}
        self._wild: list[TreeNode] = []
        self._always: dict[str, list[TreeNode]] = {}
        self._texts: dict[str, dict[str, dict[str, list[TreeNode]]]] = {}

    def index(self) -> None:
        """Find the children that an event may reach by its action, and by a text where they ask for one."""
        for child in self.children:
            test = child.test
            if test.actions is None:
                self._wild.append(child)
                continue
            for action in test.actions:
                if test.text is None:
                    self._always.setdefault(action, []).append(child)
                else:
                    path, text = test.text
                    self._texts.setdefault(action, {}).setdefault(path, {}).setdefault(text, []).append(child)

    def reached(self, facts: Facts) -> list[TreeNode]:
        """The children whose step the event fits."""
        event, found = facts.event, list[TreeNode]()
        for child in self._wild:
            if facts.plain(child.test):
                found.append(child)
        for child in self._always.get(event.action, ()):
            if facts.plain(child.test):
                found.append(child)
        texts = self._texts.get(event.action)
        if texts is not None:
            for path, by_text in texts.items():
                value = event.properties.get(path)
                if type(value) is str:
                    for child in by_text.get(value, ()):
                        if facts.plain(child.test):
                            found.append(child)
        return found


class TreeMember:
    """A listener of the tree. ``number``: its place among all listeners of the machine; ``bit``: its place here."""

    __slots__ = ("bit", "keys", "listener", "noted", "number", "way")

    def __init__(self, number: int, listener: Listener) -> None:
        self.number = number
        self.listener = listener
        self.bit = 0
        self.keys = tuple(step.key for step in listener.sequence if isinstance(step, Step))
        """What evidence calls its steps."""
        self.way: list[TreeNode] = []
        """Its nodes, a step each."""
        self.noted = dict.fromkeys(scope_of(listener).notes, 0)
        """Per reference of its templates: its place among what a run notes."""


class Tree:
    """Plain listeners with an equal first step, compiled."""

    def __init__(self, members: Sequence[TreeMember], tests: Tests, *, max_runs: int) -> None:
        """``members``: in order of their names."""
        self.members = members
        self._max_runs = max_runs
        self.nodes: list[TreeNode] = []
        self._texts: dict[tuple[int, str], TreeNode] = {}
        for bit, member in enumerate(members):
            member.bit = bit
            self._grow(member, tests)
        for node in self.nodes:
            node.index()
        for node in self.nodes:
            for child in node.children:
                child.before = node.before + len(node.notes)
        for member in members:
            for reference in member.noted:
                node = member.way[reference.step - 1]
                member.noted[reference] = node.before + list(node.notes).index(reference.path)
        self._first = self.nodes[0]
        self.tests = [node.test for node in self.nodes]
        self._lone = 0
        for member in members:
            # SEMANTICS 3: nothing can tell two runs apart but their start, so one is enough.
            if member.listener.within_ms is None and not member.noted:
                self._lone |= 1 << member.bit
        self._read_windows()

    def _grow(self, member: TreeMember, tests: Tests) -> None:
        bit, scope = 1 << member.bit, scope_of(member.listener)
        node: TreeNode | None = None
        for step in member.listener.sequence:
            assert isinstance(step, Step) and step.condition is not None  # noqa: S101, PT018
            node = self._node(node, step.condition, tests)
            node.who |= bit
            member.way.append(node)
            for reference in scope.notes:
                if reference.step == step.number:
                    node.notes.setdefault(reference.path, values_at(reference.path))
        member.way[-1].ends |= bit

    def _node(self, parent: TreeNode | None, condition: Condition, tests: Tests) -> TreeNode:
        key = (-1 if parent is None else parent.number, repr(condition))
        found = self._texts.get(key)
        if found is None:
            found = self._texts[key] = TreeNode(len(self.nodes), parent, tests.of(condition, _NO_SCOPE))
            self.nodes.append(found)
            if parent is not None:
                parent.children.append(found)
        return found

    def _read_windows(self) -> None:
        windows = sorted({each.listener.within_ms for each in self.members if each.listener.within_ms is not None})
        self._windows = windows
        self._shortest = windows[0] if windows else 1 << 62
        # Entry n: whose window is longer than the first n.
        self._open = [
            sum(
                1 << each.bit
                for each in self.members
                if each.listener.within_ms is None or each.listener.within_ms > passed
            )
            for passed in (-1, *windows)
        ]

    def on_event(self, held: TreeRuns, facts: Facts, hearing: int = -1) -> tuple[TreeRuns, Sequence[Won]]:
        """Rules 1 to 4 for one event. The very same standing comes back where nothing has changed."""
        event = facts.event
        at_ms, shortest = event.occurred_at_ms, self._shortest
        kept: list[TreeRun] = []
        won: list[Won] = []
        claimed = 0
        changed = False
        seen, reached = -1, list[TreeNode]()
        for run in held.runs:
            who = run.who
            age_ms = at_ms - run.events[0].at_ms
            if age_ms >= shortest:
                who &= self._open[bisect_right(self._windows, age_ms)]
                if not who:
                    changed = True
                    continue
            node = self.nodes[run.node]
            if node.number != seen:
                seen, reached = node.number, node.reached(facts)
            if reached:
                who, claimed = self._advance(run, who, reached, facts, kept, won, claimed)
            if who:
                kept.append(run if who == run.who else _of(run, who))
                if who == run.who:
                    continue
            changed = True
        if facts.plain(self._first.test):
            changed = self._start(kept, won, hearing & ~claimed, facts) or changed
            for who, _ in won:
                claimed |= who
        if not changed:
            return held, _NOBODY
        return self._settled(held, kept, claimed), won

    def _advance(  # noqa: PLR0917
        self,
        run: TreeRun,
        who: int,
        reached: list[TreeNode],
        facts: Facts,
        kept: list[TreeRun],
        won: list[Won],
        claimed: int,
    ) -> tuple[int, int]:
        """Rule 2 for one run. Who of ``who`` is left waiting, and who has a match by now."""
        for child in reached:
            taking = who & child.who
            ending = taking & child.ends
            if ending and facts.event.stitched:
                # SEMANTICS 7: history from before a device was somebody's never completes a run.
                taking &= ~ending
                ending = 0
            if not taking:
                continue
            who &= ~taking
            after = _taking(run, child, facts)
            # Rule 4: the oldest first event wins, and runs come by their first event.
            if ending & ~claimed:
                won.append((ending & ~claimed, after))
                claimed |= ending
            if taking != ending:
                kept.append(_of(after, taking & ~ending))
        return who, claimed

    def on_event_of(self, hearing: int, held: TreeRuns, facts: Facts) -> tuple[TreeRuns, Sequence[Won]]:
        """As :meth:`on_event`, of some listeners; for the others the event never was."""
        heard = TreeRuns(_part(held.runs, hearing), held.dropped)
        after, won = self.on_event(heard, facts, hearing)
        if after is heard:
            return held, _NOBODY
        runs: dict[tuple[int, tuple[Taken, ...]], TreeRun] = {}
        for run in (*_part(held.runs, ~hearing), *after.runs):
            other = runs.get((run.node, run.events))
            runs[run.node, run.events] = run if other is None else _of(run, run.who | other.who)
        merged = tuple(sorted(runs.values(), key=lambda run: run.events[0].place))
        return (TreeRuns(merged, after.dropped) if merged or after.dropped else FRESH), won

    def _start(self, kept: list[TreeRun], won: list[Won], hearing: int, facts: Facts) -> bool:
        """Rule 3. A run of a listener that matches at once is dropped with the others (rule 4)."""
        first = self._first
        who = first.who & hearing
        lone = who & self._lone
        if lone:
            for run in kept:
                lone &= ~run.who
            who = (who & ~self._lone) | lone
        ending = who & first.ends
        if not who or (ending == who and facts.event.stitched):
            return False
        opened = _taking(_NEW, first, facts)
        if ending and not facts.event.stitched:
            won.append((ending, opened))
        if who != ending:
            kept.append(_of(opened, who & ~ending))
        return True

    def _settled(self, held: TreeRuns, kept: list[TreeRun], claimed: int) -> TreeRuns:
        if claimed:
            left: list[TreeRun] = []
            for run in kept:
                who = run.who & ~claimed
                if who:
                    left.append(run if who == run.who else _of(run, who))
            kept = left
        if len(kept) <= self._max_runs:
            return TreeRuns(tuple(kept), held.dropped) if kept or held.dropped else FRESH
        return self._bounded(held, kept)

    def _bounded(self, held: TreeRuns, kept: list[TreeRun]) -> TreeRuns:
        """At most so many runs of each listener; the oldest go first, and are counted."""
        dropped = dict(held.dropped)
        for member in self.members:
            bit = 1 << member.bit
            own = [index for index, run in enumerate(kept) if run.who & bit]
            over = len(own) - self._max_runs
            if over <= 0:
                continue
            dropped[member.bit] = dropped.get(member.bit, 0) + over
            for index in own[:over]:
                kept[index] = _of(kept[index], kept[index].who & ~bit)
        return TreeRuns(tuple(run for run in kept if run.who), tuple(sorted(dropped.items())))

    def noted(self, run: TreeRun) -> tuple[tuple[int, str, Any], ...]:
        """What a run notes, by step and path; what was not there is left out."""
        node, found = self.nodes[run.node], list[tuple[int, str, Any]]()
        way: TreeNode | None = node
        while way is not None and run.noted:
            for place, path in enumerate(way.notes, start=way.before):
                if run.noted[place] is not None:
                    found.append((way.depth, path, run.noted[place]))
            way = way.parent
        return tuple(found)

    def noting(self, node: TreeNode, noted: Iterable[tuple[int, str, Any]]) -> tuple[Any, ...]:
        """The reverse of :meth:`noted`, for a run that has come to this node."""
        values = {(step, path): value for step, path, value in noted}
        found: list[Any] = []
        way: TreeNode | None = node
        while way is not None:
            found[:0] = [values.get((way.depth, path)) for path in way.notes]
            way = way.parent
        return tuple(found)

    def whose(self, who: int) -> Iterator[TreeMember]:
        """The listeners of these bits, in order of their names."""
        while who:
            lowest = who & -who
            yield self.members[lowest.bit_length() - 1]
            who ^= lowest


FRESH: Final = TreeRuns()
_NEW: Final = TreeRun(0, 0, ())
_NO_SCOPE: Final = scope_of(Listener("", 1, ()))


def is_plain(listener: Listener) -> bool:
    """Whether a listener can be in a tree."""
    return (
        listener.scope is Scope.SUBSCRIBER
        and listener.repeat is Repeat.EVERY
        and listener.per is None
        and not any(line.references for line in listener.lines())
        and all(isinstance(step, Step) and _is_plain(step) for step in listener.sequence)
    )


def _is_plain(step: Step) -> bool:
    rules = (
        step.all_of,
        step.distinct_by,
        step.until,
        step.sum,
        step.optional,
        step.next,
        step.within_ms,
        step.after_ms,
    )
    return step.condition is not None and step.times.once and not any(rules)


def trees_of(listeners: Iterable[tuple[int, Listener]], tests: Tests, *, max_runs: int) -> list[Tree]:
    """The trees of plain listeners, each with its number, in order of their names."""
    found: dict[str, list[TreeMember]] = {}
    for number, listener in listeners:
        step = listener.sequence[0]
        assert isinstance(step, Step)  # noqa: S101
        found.setdefault(repr(step.condition), []).append(TreeMember(number, listener))
    return [Tree(members, tests, max_runs=max_runs) for members in found.values()]


def _of(run: TreeRun, who: int) -> TreeRun:
    return TreeRun(who, run.node, run.events, run.noted)


def _part(runs: Iterable[TreeRun], who: int) -> tuple[TreeRun, ...]:
    return tuple(_of(run, run.who & who) for run in runs if run.who & who)


def _taking(run: TreeRun, node: TreeNode, facts: Facts) -> TreeRun:
    noted = run.noted
    if node.notes:
        properties = facts.event.properties
        for values in node.notes.values():
            found = values(properties)
            noted = (*noted, found[0] if found else None)
    return TreeRun(node.who, node.number, (*run.events, facts.taken(node.depth)), noted)
