"""The guards on how much is moved: by a listener and at the account, within an hour and a day, and of a sudden."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from enum import Enum, auto
from typing import Final, NamedTuple

from contracts.installation import Account
from contracts.plurals import counted

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
PEOPLE: Final = 100
LEAST_SHARE: Final = 10
"""Of one person no more than a hundredth of a limit counts (or ten, if that is more): what stops an account for all is
brought about by many."""
USUAL_DAYS: Final = 14
"""How many days before the last one say what is usual for a listener."""
KNOWN_DAYS: Final = 3
"""So many days a listener must have moved people before anything is sudden."""
SPANS: Final = {HOUR_MS: "an hour", DAY_MS: "a day"}


class MoveLimits(NamedTuple):
    """Most moves: of one listener within an hour and a day, of all together; 0: as many as there are.

    ``sudden_times``: most of one listener within a day as a multiple of its usual day; what is not more than
    ``sudden_above`` is never sudden. 0: nothing is.
    """

    hour: int = 0
    day: int = 0
    account_hour: int = 0
    account_day: int = 0
    sudden_times: int = 0
    sudden_above: int = 0


def limits_of(account: Account) -> MoveLimits:
    """How much an account lets its listeners move."""
    most, sudden = account.max_moves, account.sudden or None
    each = most.hour, most.day or 0, most.account_hour or 0, most.account_day or 0
    return MoveLimits(*each, sudden.times if sudden else 0, sudden.above if sudden else 0)


class Room(Enum):
    """Whether a command may be carried out: yes, not before those under way are done with, or no."""

    FREE = auto()
    WAITS = auto()
    FULL = auto()


class _Window:
    """The moves within a span, of each person no more than a share. Times come in order, or nearly so."""

    def __init__(self, span_ms: int, share: int) -> None:
        self._span_ms, self._share = span_ms, share
        self._moves: deque[tuple[int, str]] = deque()
        self._each: Counter[str] = Counter()
        self._counted = 0

    def add(self, at_ms: int, subscriber: str) -> None:
        self._moves.append((at_ms, subscriber))
        self._each[subscriber] += 1
        self._counted += self._each[subscriber] <= self._share
        self._end(at_ms - self._span_ms)

    def counted(self, now_ms: int, since_ms: int) -> int:
        self._end(max(now_ms - self._span_ms, since_ms))
        return self._counted

    def _end(self, until_ms: int) -> None:
        while self._moves and self._moves[0][0] <= until_ms:
            _, subscriber = self._moves.popleft()
            self._counted -= self._each[subscriber] <= self._share
            self._each[subscriber] -= 1
            if not self._each[subscriber]:
                del self._each[subscriber]


class _Usual:
    """How many moves a listener makes on a usual day."""

    def __init__(self) -> None:
        self._hours: dict[int, int] = {}

    def add(self, at_ms: int) -> None:
        hour = at_ms // HOUR_MS
        self._hours[hour] = self._hours.get(hour, 0) + 1
        if len(self._hours) > 24 * (USUAL_DAYS + 2):
            del self._hours[min(self._hours)]

    def a_day(self, now_ms: int) -> float | None:
        """The mean of the days before the last one; None: too few are known."""
        end = now_ms // HOUR_MS - 24
        first = max(min(self._hours, default=end), end - 24 * USUAL_DAYS)
        if end - first < 24 * KNOWN_DAYS:
            return None
        return sum(count for hour, count in self._hours.items() if first <= hour < end) * 24 / (end - first)


class _Limit(NamedTuple):
    """``most`` moves within a span, of one listener or (``of_all``) at the account."""

    span_ms: int
    most: int
    of_all: bool = False
    is_sudden: bool = False

    @property
    def share(self) -> int:
        """Of one person."""
        return max(self.most // PEOPLE, LEAST_SHARE)


class MoveGuard:
    """Counts the moves of an account. Only what changed something counts."""

    def __init__(self, limits: MoveLimits, now_ms: Callable[[], int]) -> None:
        self._now_ms, self._times = now_ms, limits.sudden_times
        every = (
            _Limit(HOUR_MS, limits.hour),
            _Limit(DAY_MS, limits.day),
            _Limit(HOUR_MS, limits.account_hour, of_all=True),
            _Limit(DAY_MS, limits.account_day, of_all=True),
            _Limit(DAY_MS, limits.sudden_above if limits.sudden_times else 0, is_sudden=True),
        )
        self._limits = tuple(each for each in every if each.most)
        self._windows: dict[tuple[_Limit, str], _Window] = {}
        self._usual: dict[str, _Usual] = {}

    def note(self, listener: str, at_ms: int, subscriber: str) -> None:
        """Count a command of a listener that changed something."""
        for limit in self._limits:
            self._window(limit, listener).add(at_ms, subscriber)
        if self._times:
            self._usual.setdefault(listener, _Usual()).add(at_ms)

    def room(self, listener: str, under_way: Mapping[tuple[str, str], int], since_ms: int) -> tuple[Room, str]:
        """Whether a listener may move somebody else, and in words why not.

        ``under_way``: how many commands are, by listener and person; how many of them change anything is not known.
        ``since_ms``: from when on moves count: a person has looked at those before.
        """
        now_ms, found = self._now_ms(), Room.FREE
        for limit, most in self._most(listener, now_ms):
            left = most - self._window(limit, listener).counted(now_ms, since_ms)
            if left <= 0:
                return Room.FULL, self._in_words(limit, most, listener, now_ms)
            # PERF: what is under way is counted only where it may be as many as are left.
            if len(under_way) * limit.share >= left and _counted(limit, listener, under_way) >= left:
                found = Room.WAITS
        return found, ""

    def _most(self, listener: str, now_ms: int) -> Iterator[tuple[_Limit, int]]:
        for limit in self._limits:
            if not limit.is_sudden:
                yield limit, limit.most
            elif (usual := self._usual_of(listener, now_ms)) is not None:
                yield limit, max(limit.most, int(self._times * usual))

    def _usual_of(self, listener: str, now_ms: int) -> float | None:
        known = self._usual.get(listener)
        return known.a_day(now_ms) if known is not None else None

    def _window(self, limit: _Limit, listener: str) -> _Window:
        key = limit, "" if limit.of_all else listener
        if key not in self._windows:
            self._windows[key] = _Window(limit.span_ms, limit.share)
        return self._windows[key]

    def _in_words(self, limit: _Limit, most: int, listener: str, now_ms: int) -> str:
        span = SPANS[limit.span_ms]
        if limit.is_sudden:
            usual = self._usual_of(listener, now_ms) or 0.0
            return f"{listener}: more than {counted(most, 'move')} in {span}, where {usual:.0f} are usual (`sudden`)"
        whose = f"all listeners together, {listener} last" if limit.of_all else listener
        return f"{whose}: more than {counted(most, 'move')} in {span}"


def _counted(limit: _Limit, listener: str, under_way: Mapping[tuple[str, str], int]) -> int:
    """How many of those under way may count: of one person no more than a share."""
    people: Counter[str] = Counter()
    for (name, subscriber), count in under_way.items():
        if limit.of_all or name == listener:
            people[subscriber] += count
    return sum(min(count, limit.share) for count in people.values())
