"""The shelf gives back what was put on it, and holds little that is dead."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flows.state.arena import DEAD_PART, LARGEST, PAGE_BYTES, Arena
from flows.state.entry import StateEntry

KEYS = tuple(f"k{number}" for number in range(12))
STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "put", "put", "drop"]), st.sampled_from(KEYS), st.integers(0, LARGEST)),
    max_size=150,
)


@given(STEPS)
def test_what_was_put_comes_back_and_little_is_dead(steps: list[tuple[str, str, int]]) -> None:
    resting = {key: StateEntry(key) for key in KEYS}
    arena, model = Arena(resting), dict[str, bytes]()
    for number, (what, key, size) in enumerate(steps):
        arena.drop(resting[key])
        model.pop(key, None)
        if what == "put":
            model[key] = bytes([number % 256]) * size
            arena.put(resting[key], model[key])
            live = sum(map(len, model.values()))
            assert arena._used - live <= arena._used // DEAD_PART + PAGE_BYTES
        assert {each: data for each, entry in resting.items() if (data := arena.get(entry)) is not None} == model


def test_pages_are_filled_one_after_the_other() -> None:
    resting = {key: StateEntry(key) for key in KEYS}
    arena = Arena(resting)
    for turn in range(400):
        for key in KEYS:
            arena.drop(resting[key])
            arena.put(resting[key], bytes([turn % 256]) * 1_000)
    assert all(arena.get(entry) == bytes([399 % 256]) * 1_000 for entry in resting.values())
    assert arena._used < 3 * PAGE_BYTES
