"""Who is due when: whatever is put in whatever order, the same as a list that is searched."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flows.state.timers import DAY_MS, HOUR_MS, NO_TIMER, Timers

KEYS = ("a", "b", "c", "d")
DELAYS = st.sampled_from([0, 1, 60_000, HOUR_MS - 1, HOUR_MS, 5 * HOUR_MS, DAY_MS, 3 * DAY_MS, 400 * DAY_MS])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from(KEYS), DELAYS),
        st.tuples(st.just("void"), st.sampled_from(KEYS), st.just(0)),
        st.tuples(st.just("renew"), st.just(""), st.just(0)),
        st.tuples(st.just("pass"), st.just(""), DELAYS),
    ),
    max_size=60,
)


@given(STEPS, st.sampled_from([0, 1, HOUR_MS // 2, DAY_MS - 1]))
def test_the_earliest_comes_first_and_only_once_its_time_has_come(
    steps: list[tuple[str, str, int]], offset_ms: int
) -> None:
    due: dict[str, int] = {}
    dues = Timers(lambda key: due.get(key, NO_TIMER), offset_ms)
    now_ms = 1_767_225_600_000
    for what, key, by_ms in steps:
        if what == "put":
            due[key] = now_ms + by_ms
            dues.put(due[key], key)
        elif what == "void":
            due.pop(key, None)
        elif what == "renew":
            dues.renew([(at_ms, each) for each, at_ms in due.items()])
            assert len(dues) == len(due)
        else:
            now_ms += by_ms
            first_ms = dues.next_ms()
            assert not due or (first_ms is not None and first_ms <= min(due.values()))
            expected = sorted((at_ms, each) for each, at_ms in due.items() if at_ms <= now_ms)
            found = []
            while (popped := dues.pop(now_ms)) is not None:
                found.append((due.pop(popped), popped))
            assert found == expected
            assert not found or found[-1][0] <= now_ms


def test_what_is_due_much_later_is_one_entry_of_its_day_and_void_ones_can_be_dropped() -> None:
    due: dict[str, int] = {}
    dues = Timers(lambda key: due.get(key, NO_TIMER), 0)
    dues.pop(DAY_MS)
    for number in range(1_000):
        due["k"] = 400 * DAY_MS - number
        dues.put(due["k"], "k")
    assert len(dues) == 1_000
    dues.renew(due_ms_and_key for due_ms_and_key in [(due["k"], "k")])
    assert len(dues) == 1
    assert dues.pop(400 * DAY_MS - 1_000) is None
    assert dues.pop(400 * DAY_MS - 999) == "k"
