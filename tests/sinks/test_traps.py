"""The traps that every platform has; ``python -m tests.sinks.guards`` takes each guard out in turn."""

from __future__ import annotations

from pathlib import Path

import pytest

from sinks.base import Change, Done, Fate, Standing
from tests.sinks.beds import ServedBed, imitated, served_bed
from tests.sinks.courier import Courier, command
from tests.sinks.served import IMITATED, WITH_FIELDS
from tests.sinks.simulator.server import KEY, Answer, Fault
from tests.sinks.trapped import ANNA, BEN, asked, bed, fate, on

__all__ = ["bed"]
pytestmark = pytest.mark.slow


@on(*IMITATED)
def test_a_redirect_takes_no_key_along(bed: ServedBed, tmp_path: Path) -> None:
    other = served_bed("listmonk", tmp_path / "other")
    there = Answer(307, b"", {"Location": f"{other.server.url}/steal"})
    bed.server.faults = [Fault("", answer=there)]
    assert fate(asked(bed, add=("new",))) is Fate.AWAY
    assert other.server.calls == []
    other.close()


@on("listmonk", "hubspot")
def test_a_password_file_of_the_user_replaces_no_key(
    bed: ServedBed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert isinstance(asked(bed, add=("new",)), Done)


@on(*IMITATED, "mailman")
def test_nobody_is_in_no_list_on_the_way(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    bed.put(BEN, "new")
    bed.server.fail("error", writes=True, path="", times=1)
    sink = bed.sink()
    first, second = (sink.apply([Change("c", "s", ANNA, ("new",), ("old",))])[0] for _ in range(2))
    assert fate(first) is Fate.AWAY
    assert isinstance(second, Done)
    bed.server.faults = [Fault("", writes=True, answer=Answer(400, {"title": "no"}))]
    (refused,) = sink.apply([Change("d", "t", BEN, ("newer",), ("new",))])
    assert fate(refused) is Fate.LASTING
    assert BEN in bed.members("new"), "the adding was refused, so nothing is taken away"


@on(*IMITATED)
def test_a_429_waits_as_long_as_it_says(bed: ServedBed, tmp_path: Path) -> None:
    courier = Courier(bed, tmp_path / "data")
    slow = Answer(429, {}, {"Retry-After": "7"})
    bed.server.faults = [Fault("", answer=slow)]
    courier.send(command("new"))
    courier.deliver()
    assert sum(courier.pauses) >= 7
    assert bed.members("new") == {ANNA}
    courier.close()


@on(*imitated(lambda each: each.members_show_leaving))
def test_members_tell_who_left(bed: ServedBed) -> None:
    bed.put(ANNA, "news")
    bed.put(BEN, "news")
    bed.leave(ANNA, "news")
    standings = {each.address: each.standing for each in bed.sink().members("news")}
    assert standings == {ANNA: Standing.LEFT, BEN: Standing.ACTIVE}


@on(*WITH_FIELDS)
def test_a_token_is_written_and_changes_nobodys_lists_or_consent(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    field = bed.token_field
    assert asked(bed, fields=((field, "t1"),))[:2] == ((f"={field}",), "changed")
    assert bed.world.person(ANNA).fields[field] == "t1"
    assert bed.members("old") == {ANNA}
    assert KEY not in repr(bed.world.people)


@on(*imitated(lambda each: each.dialect().sends_tags))
def test_a_tag_is_set_and_taken_away(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    assert asked(bed, tag=("warm",))[:2] == (("t+warm",), "changed")
    assert asked(bed, tag=("warm",))[:2] == ((), "already so")
    assert asked(bed, untag=("warm",))[:2] == (("t-warm",), "changed")
    assert bed.members("old") == {ANNA}


@on("hubspot")
def test_members_of_hubspot_come_with_the_ids_by_which_its_webhooks_name_them(bed: ServedBed) -> None:
    bed.put(ANNA, "news")
    (member,) = bed.sink().members("news")
    assert (member.address, member.person) == (ANNA, bed.world.person(ANNA).id)
