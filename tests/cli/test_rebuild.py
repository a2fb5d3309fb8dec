"""``segma rebuild``: what a list lacks of the history, and who is put back there: once, and nobody who left."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import cli.rebuild
from analytics.clickhouse import HistoryUnavailable
from cli.__main__ import cli as segma_cli
from cli.backfilling.lost import LEAST, difference
from contracts.accounts import Veto
from contracts.codec import json_reader, to_json
from contracts.commands import Outcome
from contracts.log import Outgoing
from contracts.rows import DirectoryEntry
from contracts.topics import OUTCOMES, SUBSCRIBERS, VETOES, subscriber_key, topics_of, veto_key
from sinks.base import Standing
from sinks.delivery.loop import Delivery
from sinks.registry import sink_of
from transport import open_log
from transport.config import load_installation, settings_at, wall_clock_ms

PEOPLE = [f"s_{number:02}" for number in range(30)]
THERE = Standing.ACTIVE
_outcome = json_reader(Outcome)


def test_a_list_that_is_gone_is_lost_whole() -> None:
    told = difference(PEOPLE, None, known=PEOPLE, left=PEOPLE[:2])
    assert (told.lost, told.left, told.agreeing) == (PEOPLE[2:], PEOPLE[:2], 0)


def test_a_few_who_are_missing_may_have_left() -> None:
    there = dict.fromkeys(PEOPLE[3:], THERE)
    told = difference(PEOPLE, there, known=PEOPLE, left=())
    assert (told.doubtful, told.lost, told.agreeing) == (PEOPLE[:3], [], 27)
    few = dict.fromkeys(PEOPLE[LEAST - 1 :], THERE)
    assert difference(PEOPLE, few, known=PEOPLE, left=()).lost == []
    told = difference(PEOPLE, dict.fromkeys(PEOPLE[LEAST:], THERE), known=PEOPLE, left=())
    assert (told.lost, told.doubtful) == (PEOPLE[:LEAST], [])


def test_who_left_who_is_unknown_and_who_is_there_besides_stay_as_they_are() -> None:
    there = {PEOPLE[0]: Standing.LEFT, "s_other": THERE}
    told = difference(PEOPLE[:3], there, known=PEOPLE[:2], left=(), strangers=4)
    assert (told.left, told.unknown, told.others, told.lost) == ([PEOPLE[0]], [PEOPLE[2]], 5, [PEOPLE[1]])


class Home:
    """An installation with two accounts; the history is what a test says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "secret").write_text("s" * 40)
        (folder / "keys").write_text(f"k1 {'ab' * 64}\n")
        (folder / "segma.yaml").write_text(
            "token_keys: {file: keys}\nworkspaces:\n  w:\n    secret: {file: secret}\n"
            "    accounts: {old: {sink: file}, new: {sink: file}}\n"
        )
        self.installation = load_installation(folder / "segma.yaml")
        with closing(open_log(settings_at(folder))) as log:
            log.ensure(topics_of(self.installation))
            log.publisher().publish(
                [
                    Outgoing(
                        SUBSCRIBERS,
                        subscriber_key("w", each),
                        to_json(DirectoryEntry("w", each, f"{each}@example.org")),
                    )
                    for each in PEOPLE
                ]
            )

    def veto(self, account: str, person: str) -> None:
        with closing(open_log(settings_at(self.folder))) as log:
            value = to_json(Veto("w", account, person, "hot", 5, "email_unsubscribed"))
            log.publisher().publish([Outgoing(VETOES, veto_key("w", account, person, "hot"), value)])

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(segma_cli, ["rebuild", *words, "--home", str(self.folder)])

    def answer(self, *words: str) -> dict[str, Any]:
        said = self.run("hot", *words, "--json")
        assert said.exit_code in {0, 1}, said.output
        found: dict[str, Any] = json.loads(said.stdout)
        return found

    def deliver(self, account: str) -> list[Outcome]:
        data = self.folder / "data"
        with closing(open_log(settings_at(self.folder))) as log:
            loop = Delivery(
                log,
                sink_of(self.installation, f"w/{account}", data=data, pause=lambda seconds: None),
                workspace="w",
                account=account,
                now_ms=wall_clock_ms,
                pause=lambda seconds: None,
                stopping=lambda: False,
            )
            while loop.round():
                pass
            loop.close()
            return [_outcome(each.value or b"") for each in log.reader(OUTCOMES).poll(1_000)]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setattr(
        cli.rebuild, "members", lambda clickhouse, workspace, at_ms: [(each, "old", "hot") for each in PEOPLE]
    )
    monkeypatch.setattr(cli.rebuild, "connect", lambda settings: None)
    return Home(tmp_path)


def test_a_lost_list_is_shown_first_then_put_there_once_without_who_left(home: Home) -> None:
    home.veto("old", PEOPLE[0])
    shown = home.answer("--at", "old")
    assert (len(shown["lost"]), shown["left"], shown["given"]) == (29, PEOPLE[:1], 0)
    assert home.answer("--at", "old", "--mend")["given"] == 29
    assert home.answer("--at", "old", "--mend")["given"] == 0, "asked for already"
    assert {each.result for each in home.deliver("old")} == {"applied"}
    settled = home.answer("--at", "w/old")
    assert (settled["agreeing"], settled["lost"], settled["left"]) == (29, [], PEOPLE[:1])
    # Lost once more, it is put there once more.
    (home.folder / "data" / "lists" / "w" / "old" / "hot.txt").unlink()
    assert home.answer("--at", "old", "--mend")["given"] == 29
    assert len(home.deliver("old")) == 58
    assert home.answer("--at", "old")["agreeing"] == 29


@pytest.mark.parametrize("workspace", ["", "w/"])
def test_a_new_platform_gets_the_list_of_the_old_one_without_who_left_there(home: Home, workspace: str) -> None:
    home.veto("old", PEOPLE[0])
    told = home.answer("--at", f"{workspace}new", "--from", f"{workspace}old", "--mend")
    assert (told["given"], told["left"]) == (29, PEOPLE[:1])
    home.deliver("new")
    assert home.answer("--at", "new", "--from", "old")["agreeing"] == 29


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("hot",), 2, "--at and --from are each one of: old, new"),
        (("hot", "--at", "nowhere"), 2, "--at and --from are each one of: old, new"),
        (("cold", "--at", "old"), 1, "the history knows nobody in cold of old: nothing was done"),
        (("hot", "--at", "new"), 1, "the history knows nobody in hot of new: nothing was done"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_sentence(
    home: Home, words: tuple[str, ...], code: int, sentence: str
) -> None:
    said = home.run(*words)
    assert (said.exit_code, sentence in said.output.replace("\n", " ")) == (code, True), said.output


def test_nothing_is_done_while_the_history_is_away(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> Any:
        raise HistoryUnavailable("is away")

    monkeypatch.setattr(cli.rebuild, "members", away)
    said = home.run("hot", "--at", "old", "--mend")
    assert (said.exit_code, "nothing was done" in said.output.replace("\n", " ")) == (3, True)
    assert home.deliver("old") == []


def test_who_left_under_the_id_of_their_other_entry_has_left(home: Home) -> None:
    twice = (PEOPLE[0], "ute@müller.example"), ("s_zz", "ute@xn--mller-kva.example")
    with closing(open_log(settings_at(home.folder))) as log:
        entries = [DirectoryEntry("w", *each) for each in twice]
        stands = [Outgoing(SUBSCRIBERS, subscriber_key("w", each.subscriber), to_json(each)) for each in entries]
        log.publisher().publish(stands)
    lists = home.folder / "data" / "lists" / "w" / "new"
    lists.mkdir(parents=True, exist_ok=True)
    there = [f"{each}@example.org" for each in PEOPLE[1:]]
    (lists / "hot.txt").write_text("\n".join(["ute@xn--mller-kva.example", *there]))
    told = home.answer("--at", "new", "--from", "old")
    assert (told["lost"], told["agreeing"]) == ([], len(PEOPLE))
    home.veto("old", "s_zz")
    assert home.answer("--at", "new", "--from", "old")["left"] == [PEOPLE[0]]
