"""Whether what a listener does is good for anything: rates of the moved against the held out. Pure.

The interval of the difference is Newcombe's, of the exact (Clopper and Pearson) limits of each rate: of those that were
compared it alone holds at any count (ADR 0022).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from statistics import NormalDist
from typing import Any, Final

import numpy
from scipy.stats import beta

CONFIDENCE: Final = 0.95
POWER: Final = 0.8
"""The chance with which a difference that is there would be told, at the size that :attr:`Lift.needed` names."""
_MOST: Final = 1_000_000_000
"""More people than this are not promised to anybody."""


def limits(did: Any, people: Any) -> tuple[Any, Any]:
    """The exact limits of a rate at :data:`CONFIDENCE`; of nobody 0 and 1. Takes numbers or arrays."""
    did, people = numpy.asarray(did, float), numpy.asarray(people, float)
    tail = (1 - CONFIDENCE) / 2
    with numpy.errstate(invalid="ignore"):
        low = numpy.where(did > 0, beta.ppf(tail, did, people - did + 1), 0.0)
        high = numpy.where(did < people, beta.ppf(1 - tail, did + 1, people - did), 1.0)
    return low, high


def difference_limits(moved_did: Any, moved: Any, held_did: Any, held: Any) -> tuple[Any, Any]:
    """The limits of (rate of the moved - rate of the held out). Takes numbers or arrays; nobody's groups are none."""
    a, b = numpy.asarray(moved_did) / numpy.asarray(moved), numpy.asarray(held_did) / numpy.asarray(held)
    (a_low, a_high), (b_low, b_high) = limits(moved_did, moved), limits(held_did, held)
    low = a - b - numpy.hypot(a - a_low, b_high - b)
    high = a - b + numpy.hypot(a_high - a, b - b_low)
    return numpy.maximum(low, -1.0), numpy.minimum(high, 1.0)


@dataclass(frozen=True, slots=True)
class Group:
    """``did`` of ``people`` reached the goal."""

    people: int
    did: int

    @property
    def rate(self) -> float:
        """0 of nobody."""
        return self.did / self.people if self.people else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """The rate's limits at :data:`CONFIDENCE`."""
        low, high = limits(self.did, self.people)
        return float(low), float(high)


@dataclass(frozen=True, slots=True)
class Lift:
    """Two groups that a hash has made of the same people."""

    moved: Group
    held_out: Group

    @property
    def difference(self) -> float:
        """Of the rates, moved less held out."""
        return self.moved.rate - self.held_out.rate

    @property
    def interval(self) -> tuple[float, float]:
        """The difference's limits at :data:`CONFIDENCE`; -1 and 1 where a group is empty."""
        if not (self.moved.people and self.held_out.people):
            return -1.0, 1.0
        low, high = difference_limits(self.moved.did, self.moved.people, self.held_out.did, self.held_out.people)
        return float(low), float(high)

    @property
    def is_told(self) -> bool:
        """Whether the interval leaves out that there is no difference."""
        low, high = self.interval
        return low > 0 or high < 0

    @property
    def needed(self) -> int | None:
        """How many people in both groups together, in the share that they have now, would tell a difference as large as
        this one with a chance of :data:`POWER`. None where there is no difference, or no group to speak of.
        """
        if not (self.moved.people and self.held_out.people) or self.difference == 0:
            return None
        normal, times = NormalDist(), self.moved.people / self.held_out.people
        z = normal.inv_cdf((1 + CONFIDENCE) / 2) + normal.inv_cdf(POWER)
        spread = _spread(self.moved) / times + _spread(self.held_out)
        return min(ceil(z * z * spread / self.difference**2 * (1 + times)), _MOST)


def _spread(group: Group) -> float:
    """A rate's variance times the people, of a rate that is not taken for a certain one."""
    rate = (group.did + 1) / (group.people + 2)
    return rate * (1 - rate)
