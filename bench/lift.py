"""How often ``segma lift``'s interval covers the truth, and how even the share is that a listener holds out.

``./segma bench lift`` simulates trials at sizes from 20 to 20,000, shares held out from 5 to 50 % and rates from 0.2 to
90 % (seeded), and counts whom a holdout of 10 % holds out of a million. It ends with 1 where a figure misses its limit.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Final

import click
import numpy

from analytics.lift import difference_limits
from flows.language.shares import is_held_out

SIZES: Final = (20, 30, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000)
HOLDOUTS: Final = (0.05, 0.1, 0.2, 0.5)
RATES: Final = (0.002, 0.01, 0.03, 0.05, 0.1, 0.3, 0.5, 0.9)
LIFTS: Final = (-0.5, 0.0, 0.2, 0.5, 1.0)
LEAST: Final = 0.94


def coverage(
    random: Any,
    size: int,
    holdout: float,
    moved_rate: float,
    held_out_rate: float,
    *,
    trials: int,
    interval: Callable[..., tuple[Any, Any]] = difference_limits,
) -> float:
    """The share of trials whose interval holds the true difference; each has somebody in both groups."""
    held = max(1, round(size * holdout))
    moved = size - held
    low, high = interval(
        random.binomial(moved, moved_rate, trials), moved, random.binomial(held, held_out_rate, trials), held
    )
    truth = moved_rate - held_out_rate
    return float(numpy.mean((low <= truth) & (truth <= high)))


def share_held_out(share: Fraction, people: int) -> int:
    """How many of so many people a listener holds out."""
    return sum(is_held_out(share, "demo", "basket-abandoned", f"s{number}") for number in range(people))


@click.command()
@click.option("--trials", default=10_000, show_default=True)
@click.option("--people", default=1_000_000, show_default=True)
@click.option("--seed", default=1, show_default=True)
def main(trials: int, people: int, seed: int) -> None:
    """Print the least coverage of each size, and the share."""
    random, missed = numpy.random.default_rng(seed), False
    for size in SIZES:
        cases = itertools.product(HOLDOUTS, RATES, LIFTS)
        found = [
            (coverage(random, size, holdout, min(0.98, rate * (1 + lift)), rate, trials=trials), holdout, rate, lift)
            for holdout, rate, lift in cases
        ]
        least = min(found)
        missed = missed or least[0] < LEAST
        mean = sum(each[0] for each in found) / len(found)
        where = f"held out {least[1]:.0%}, rate {least[2]:.1%}, lift {least[3]:+.0%}"
        click.echo(f"{size:7,} people: covered {mean:.2%} on average, at least {least[0]:.2%} ({where})")
    held, share = share_held_out(Fraction(1, 10), people), 0.1
    deviations = (held - people * share) / (people * share * (1 - share)) ** 0.5
    click.echo(f"held out at 10 %: {held:,} of {people:,}, {deviations:+.2f} standard deviations from its share")
    sys.exit(int(missed or abs(deviations) > 4))


if __name__ == "__main__":
    main()
