"""Every broken rule of arrival is found by the generated streams: the tests with a short lateness can fail."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Final

import pytest

from flows.subscriber import reapply, timeline, timeline_codec
from tests.properties import test_short_lateness as arrival

MUTANTS: Final[dict[str, tuple[str, str]]] = {
    "an event exactly as old as the lateness is late": (
        "newest_ms - at_ms > lateness_ms",
        "newest_ms - at_ms >= lateness_ms",
    ),
    "an event exactly as old as the delay is late": (
        "if log_time_ms - at_ms > max_delay_ms",
        "if log_time_ms - at_ms >= max_delay_ms",
    ),
    "an event still within the lateness is let go": ("at_ms < oldest_ms", "at_ms <= oldest_ms"),
    "a deadline does not count as the newest time": (
        "newest_ms = max(newest_ms, match.matched_at_ms)",
        "newest_ms = max(newest_ms, _NEVER)",
    ),
    "a restart forgets the newest time": (
        "timeline.clock_ms, timeline.newest_ms = stored.clock_ms, stored.newest_ms",
        "timeline.clock_ms, timeline.newest_ms = stored.clock_ms, None",
    ),
    "a restart forgets what time alone has matched": (
        "timeline.tail = self._still_here(stored.tail)",
        "timeline.tail = ()",
    ),
    "of equal times the last to come is first": (
        "place_among(entries, event)",
        "sum(entry.at_ms < event.occurred_at_ms for entry in entries)",
    ),
    "ids do not part equal orders": (
        "or event.place > newest.place",
        "or event.place[:2] >= newest.place[:2]",
    ),
}


def mutated(name: str, monkeypatch: pytest.MonkeyPatch) -> type[reapply.Reapplier]:
    """The class with one rule broken. The text to break must stand exactly once in the sources together."""
    before, after = MUTANTS[name]
    modules = (reapply, timeline, timeline_codec)
    sources = {module: Path(module.__file__ or "").read_text(encoding="utf-8") for module in modules}
    found = [module for module, source in sources.items() if before in source]
    assert sum(source.count(before) for source in sources.values()) == 1, f"{name}: not found once"
    broken = types.ModuleType("flows.mutant_of_reapply")
    monkeypatch.setitem(sys.modules, broken.__name__, broken)  # msgspec resolves the fields' types there
    exec(compile(sources[found[0]].replace(before, after), "mutant.py", "exec"), broken.__dict__)
    if found[0] is timeline_codec:
        monkeypatch.setattr(reapply, "TimelineCodec", broken.__dict__["TimelineCodec"])
        return reapply.Reapplier
    if found[0] is timeline:
        for rule in ("is_late", "too_old"):
            monkeypatch.setattr(reapply, rule, broken.__dict__[rule])
        return reapply.Reapplier
    kind: type[reapply.Reapplier] = broken.__dict__["Reapplier"]
    return kind


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTANTS)
def test_the_streams_kill_the_mutant(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrival, "Reapplier", mutated(name, monkeypatch))
    with pytest.raises((AssertionError, KeyError)):
        _every_order_of_arrival()


def _every_order_of_arrival() -> None:
    arrival.test_what_is_late_is_left_out_and_the_rest_ends_with_the_ordered_answer()
    arrival.test_of_equal_times_the_order_and_then_the_event_id_decide_whatever_comes_first()
