"""Memberships as intervals against a brute-force recomputation, on random histories: out of order, twice, in parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as some

from analytics.clickhouse import ClickHouse
from analytics.columns import Inserts
from analytics.named_queries import named_queries
from analytics.tables import TableRow, rows_of
from contracts.commands import Outcome, Result
from contracts.log import Record
from contracts.rows import MembershipRow
from tests.analytics.embedded import Embedded
from tests.analytics.story import NOON, Written, when

PEOPLE = ("ann", "ben")
LISTS = ("hot", "news")

NO_SHRINK = (Phase.explicit, Phase.reuse, Phase.generate)
"""Shrinking asks the server thousands of times."""
INSTANTS = range(-1, 8)
MEMBERS = named_queries()["members"]
EVERY_INSTANT = """
SELECT list, at, arraySort(groupArray(subscriber))
FROM memberships CROSS JOIN (SELECT arrayJoin({instants:Array(Int64)}) AS at) AS instants
WHERE workspace = 'demo' AND valid_from <= fromUnixTimestamp64Milli(at)
    AND (valid_to IS NULL OR valid_to > fromUnixTimestamp64Milli(at))
GROUP BY list, at
"""


@dataclass(frozen=True)
class Happening:
    """A baseline or a platform's answer. ``result`` other than applied changes nothing."""

    at: int
    person: str
    marks: tuple[str, ...]
    baseline: bool
    result: Result
    workspace: str

    def row(self, number: int) -> Written:
        at_ms = NOON + self.at
        if self.baseline:
            mark = self.marks[0]
            return MembershipRow(self.workspace, "mailbox", mark[1:], self.person, mark[0] == "+", at_ms)
        return Outcome(
            command_id=f"c{number}",
            workspace=self.workspace,
            account="mailbox",
            subscriber=self.person,
            result=self.result,
            at_ms=at_ms,
            changed=self.marks,
        )


marks = some.lists(
    some.builds(lambda sign, name: sign + name, some.sampled_from("+-"), some.sampled_from(LISTS)),
    min_size=1,
    max_size=2,
    unique_by=lambda mark: mark[1:],
)
happenings = some.builds(
    Happening,
    at=some.integers(0, 6),
    person=some.sampled_from(PEOPLE),
    marks=marks.map(tuple),
    baseline=some.booleans(),
    result=some.sampled_from((Result.APPLIED, Result.APPLIED, Result.APPLIED, Result.ALREADY, Result.FAILED)),
    workspace=some.sampled_from(("demo", "demo", "other")),
)


def members(history: list[Happening], list_name: str, instant: int) -> list[str]:
    """By brute force: walk through all that happened up to the instant; baselines first, then the log's order."""
    told = [(each.at, not each.baseline, place, each) for place, each in enumerate(history) if each.workspace == "demo"]
    baselines = {
        (each.at, each.person, each.marks[0][1:]): each.marks[0] for _, answer, _, each in sorted(told) if not answer
    }
    state: dict[str, bool] = {}
    for at, answer, _, each in sorted(told, key=lambda one: one[:3]):
        if at > instant or (answer and each.result is not Result.APPLIED):
            continue
        for mark in each.marks if answer else each.marks[:1]:
            if mark[1:] == list_name:
                # Of two baselines of one instant the later in the log is the one that is kept.
                kept = mark if answer else baselines[at, each.person, list_name]
                state[each.person] = kept[0] == "+"
    return sorted(person for person, there in state.items() if there)


def written(history: list[Happening], shuffle: Random) -> list[Record]:
    """The rows as the loader may meet them: in any order, some of them twice."""
    found = [Record("x", 0, number, NOON + number, b"k", b"") for number in range(len(history))]
    found += shuffle.choices(found, k=len(found) // 2) if found else []
    shuffle.shuffle(found)
    return found


@pytest.fixture(scope="module")
def history_of(embedded: Embedded) -> Iterator[ClickHouse]:
    clickhouse = embedded.history("as_of")
    yield clickhouse
    clickhouse.command("DROP DATABASE as_of", database=False)
    clickhouse.close()


@settings(max_examples=40, deadline=None, phases=NO_SHRINK)
@given(history=some.lists(happenings, max_size=14), seed=some.integers(0, 10**6))
def test_the_as_of_view_is_what_brute_force_says(history: list[Happening], seed: int, history_of: ClickHouse) -> None:
    for table in ("membership_rows", "outcome_rows"):
        history_of.command(f"TRUNCATE TABLE {table}")
    shuffle, inserts = Random(seed), Inserts(history_of)
    for part in _parts(written(history, shuffle), shuffle):
        tables: dict[str, list[TableRow]] = {}
        for record in part:
            for row in rows_of(history[record.offset].row(record.offset), record):
                tables.setdefault(row.table, []).append(row)
        for rows_of_one in tables.values():
            inserts.insert(rows_of_one)
    expected = {(name, instant): members(history, name, instant) for name in LISTS for instant in INSTANTS}
    found = {key: list[str]() for key in expected}
    for name, at, people in history_of.rows(EVERY_INSTANT, {"instants": [NOON + each for each in INSTANTS]}):
        found[name, at - NOON] = people
    assert found == expected
    name, instant = shuffle.choice(LISTS), shuffle.choice(INSTANTS)
    given_at = {"list": name, "at": when(NOON + instant).isoformat()}
    rows = history_of.rows(MEMBERS.sql, MEMBERS.bound(given_at, workspace="demo", now_ms=NOON + max(INSTANTS)))
    assert sorted(row[0] for row in rows) == expected[name, instant]
    overlaps = history_of.rows(
        "SELECT count() FROM memberships AS a INNER JOIN memberships AS b USING (workspace, account, list, subscriber) "
        "WHERE a.valid_from < b.valid_from AND (a.valid_to IS NULL OR a.valid_to > b.valid_from)"
    )
    assert overlaps == [(0,)]


def _parts(records: list[Record], shuffle: Random) -> list[list[Record]]:
    cut = shuffle.randint(0, len(records))
    return [part for part in (records[:cut], records[cut:]) if part]
