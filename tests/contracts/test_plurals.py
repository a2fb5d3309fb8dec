from __future__ import annotations

from contracts.plurals import counted


def test_a_number_and_its_noun_agree() -> None:
    assert [counted(count, "row") for count in (0, 1, 1_200)] == ["0 rows", "1 row", "1,200 rows"]
    assert [counted(count, "person", "people") for count in (1, 2)] == ["1 person", "2 people"]
