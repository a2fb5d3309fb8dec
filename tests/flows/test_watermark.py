"""Which log time is believed behind a gap (flows/settling.py): against the sentence that says it."""

from __future__ import annotations

from itertools import accumulate, pairwise

from hypothesis import given
from hypothesis import strategies as st

from flows.operators.watermark import GAP_MS, Clock

STEPS = st.lists(
    st.one_of(st.integers(1, 400), st.integers(GAP_MS - 2, GAP_MS + 2), st.integers(1, 30_000)), min_size=1, max_size=40
)


def believed_of(times: list[int], settle_ms: int) -> int:
    """The start of the oldest gap that is awaited still; else the newest time. As it is written, from all times."""
    awaited = [
        earlier for earlier, later in pairwise(times) if later - earlier > GAP_MS and times[-1] < later + settle_ms
    ]
    return min(awaited, default=times[-1])


@given(steps=STEPS, settle_ms=st.sampled_from([0, 500, 4_000, 10_000]))
def test_a_clock_believes_what_the_sentence_says_and_never_goes_back(steps: list[int], settle_ms: int) -> None:
    clock, before = Clock(), 0
    times = list(accumulate(steps, initial=1_000_000))
    for number, time_ms in enumerate(times):
        clock = clock.hear(time_ms, settle_ms)
        assert clock.watermark_ms == believed_of(times[: number + 1], settle_ms)
        assert clock.watermark_ms >= before
        before = clock.watermark_ms


@given(steps=STEPS, again=st.integers(0, 39))
def test_a_time_that_was_passed_changes_nothing(steps: list[int], again: int) -> None:
    clock, times = Clock(), list(accumulate(steps, initial=1_000_000))
    for time_ms in times:
        clock = clock.hear(time_ms, 4_000)
    assert clock.hear(times[again % len(times)], 4_000) == clock


def test_time_moves_on_however_many_gaps_there_are() -> None:
    # A flow that pauses for two seconds in every epoch: it is behind, but not for ever further.
    clock = Clock()
    for number in range(200):
        clock = clock.hear(1_000_000 + 2_000 * number, 10_000)
        assert clock.newest_ms - clock.watermark_ms <= 10_000 + 2_000
