"""Random histories of consent against the real delivery: ``python -m tests.sinks.consent_histories``.

People join, leave, complain, erase themselves; administrators put and take out; reports come late, twice or never;
lists are imported; commands, undos and tokens are carried out, and the process dies at any step. After each step every
outcome and every list is compared with :mod:`tests.sinks.consent_model`. A history that fails is made shorter and
printed with its seed. Exit status 1 where one failed.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.sinks.consent_history import History
from tests.sinks.consent_outside import Wrong
from tests.sinks.consent_platforms import PLATFORMS
from tests.sinks.consent_steps import Step, random_steps
from tests.sinks.simulator.imitation import Imitation


def fault_of(
    platform: str, steps: Sequence[Step], data: Path, strangers: str, known: str = "confirmed"
) -> tuple[str, Counter[str]]:
    """What is wrong in a history; empty: nothing."""
    history = History(platform, data, strangers=strangers, known=known)
    try:
        for step in steps:
            history.step(step)
        history._deliver()
        history._check_lists(Step("end"))
    except Wrong as error:
        return str(error), history.counts
    finally:
        history.sink.close()
        getattr(history.dialect, "close", lambda: None)()
    return "", history.counts


def shorter(platform: str, steps: Sequence[Step], data: Path, strangers: str, known: str) -> list[Step]:
    """The same history without any step that its fault does not need."""
    found, at = list(steps), 0
    while at < len(found):
        tried = found[:at] + found[at + 1 :]
        if fault_of(platform, tried, data, strangers, known)[0]:
            found = tried
        else:
            at += 1
    return found


def known_of(platform: Imitation, own: str) -> str:
    """The account's setting ``known``; of a quarter of the histories where lists ask it is ``opt_in``."""
    asks = platform.shows.asks == "list" and random.Random(f"{own}/known").random() < 0.25
    return "opt_in" if asks else "confirmed"


def run(name: str, count: int, seed: int, *, say: Callable[[str], object], first: int = 0) -> tuple[int, Counter[str]]:
    """So many histories of a platform, from the ``first`` on; how many were wrong, and how commands ended."""
    wrong, counts = 0, Counter[str]()
    platform = PLATFORMS[name]
    with tempfile.TemporaryDirectory(prefix="segma-consent-") as directory:
        for number in range(first, first + count):
            own = f"{seed}/{name}/{number}"
            chance = random.Random(own)
            strangers = chance.choice(("add", "add", "opt_in" if platform.shows.asks else "never", "never"))
            known = known_of(platform, own)
            steps = random_steps(chance)
            fault, ends = fault_of(name, steps, Path(directory), strangers, known)
            counts += ends
            if fault:
                wrong += 1
                few = shorter(name, steps, Path(directory), strangers, known)
                fault = fault_of(name, few, Path(directory), strangers, known)[0]
                lines = "\n".join(f"    {each}" for each in few)
                say(f"{own}: strangers: {strangers}, known: {known}\n{lines}\n  {fault}\n")
    return wrong, counts


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--histories", type=int, default=2_000)
    parser.add_argument("--platform", choices=[*PLATFORMS, "all"], default="all")
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--first", type=int, default=0, help="the number of the first history: replays a printed seed")
    asked = parser.parse_args()
    failed = 0
    for name in PLATFORMS if asked.platform == "all" else [asked.platform]:
        started = time.monotonic()
        wrong, counts = run(name, asked.histories, asked.seed, say=sys.stdout.write, first=asked.first)
        failed += wrong
        took = time.monotonic() - started
        seeds = f"{asked.seed}/{name}/{asked.first}"
        sys.stdout.write(f"{name}: {asked.histories} histories, seeds {seeds} on, {wrong} wrong, {took:.0f} s\n")
        sys.stdout.write(f"    {dict(counts.most_common())}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
