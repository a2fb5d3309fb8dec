"""``between`` and ``weekdays``: the local time at which an event counts (SEMANTICS 9). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final

from flows.language.context import ParseContext, Schema
from flows.language.kinds import Choice, ListOf, Text
from flows.language.model import Hours
from flows.language.phrases import listed
from flows.language.shape import Field, Given
from flows.language.source import BAD, YamlNode

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_NAMES: Final = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
_DAY: Final = 24 * 60
_WEEK: Final = frozenset(range(7 * _DAY))
_TIME: Final = "([01][0-9]|2[0-3]):[0-5][0-9]"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class TimesOfDay:
    """``["09:00", "17:00"]``: from the first, which is included, to the second, which is not; over midnight where the
    second is earlier.
    """

    wanted: str = 'two times of the day, in quotes: ["09:00", "17:00"]'

    def read(self, node: YamlNode, context: ParseContext) -> Any:
        """Both as minutes of the day."""
        found = ListOf(Text(self.wanted, _TIME, 5), self.wanted, 2, 2).read(node, context)
        if found is BAD:
            return BAD
        start, end = (int(each[:2]) * 60 + int(each[3:]) for each in found)
        if start == end:
            return context.refuse(node, "the same time twice", "two times; for the whole day leave `between` out")
        return start, end

    def schema(self) -> Schema:
        """An array of two."""
        return ListOf(Text(self.wanted, _TIME, 5), self.wanted, 2, 2).schema()


HOURS: Final = (
    Field("between", TimesOfDay(), "The local time of the event: from the first, up to the second."),
    Field("weekdays", ListOf(Choice(DAYS), "days: [mon, tue]", 1, 7), "The local day of the week of the event."),
)


def hours_of(given: Given) -> tuple[Hours, ...]:
    """What ``between`` and ``weekdays`` ask for; empty where neither stands there."""
    start, end = given.get("between", (0, _DAY))
    days = tuple(number for number, day in enumerate(DAYS) if day in given.get("weekdays", DAYS))
    found = Hours(start, end, days)
    return () if found == Hours(0, _DAY, tuple(range(7))) else (found,)


def counts_at(hours: Hours, at_ms: int, zone: tzinfo) -> bool:
    """Whether an instant lies in these hours, told by the clocks of the zone. One beyond the calendar lies in none."""
    try:
        local = (_EPOCH + timedelta(milliseconds=at_ms)).astimezone(zone)
    except OverflowError:
        return False
    day, minute = local.weekday(), local.hour * 60 + local.minute
    if hours.start < hours.end:
        return hours.start <= minute < hours.end and day in hours.days
    if minute >= hours.start:
        return day in hours.days
    # Over midnight: the day is the one on which the window began.
    return minute < hours.end and (day - 1) % 7 in hours.days


def can_meet(every: Iterable[Hours]) -> bool:
    """Whether some minute of the week lies in all of them."""
    left = set(_WEEK)
    for hours in every:
        left &= _minutes(hours)
    return bool(left)


def _minutes(hours: Hours) -> set[int]:
    length = (hours.end - hours.start) % _DAY or _DAY
    return {(day * _DAY + hours.start + minute) % len(_WEEK) for day in hours.days for minute in range(length)}


def hours_in_words(hours: Hours) -> str:
    """``between 09:00 and 17:00 on Mondays or Tuesdays, by local time``."""
    parts = []
    if (hours.start, hours.end) != (0, _DAY):
        parts.append(f"between {_clock(hours.start)} and {_clock(hours.end)}")
    if len(hours.days) < 7:
        parts.append(f"on {listed((_DAY_NAMES[day] for day in hours.days), 'or')}")
    return f"{' '.join(parts)}, by local time"


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
