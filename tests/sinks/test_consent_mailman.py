"""GNU Mailman itself, with its runners and a server that catches every mail: what moves do to people's consent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.codec import to_json
from contracts.commands import Result
from contracts.log import Outgoing
from contracts.rows import DirectoryEntry
from contracts.topics import SUBSCRIBERS, subscriber_key
from sinks.base import Change
from tests.sinks.beds import ServedBed, served_bed
from tests.sinks.courier import Courier, command

pytestmark = pytest.mark.mailman

ANNA, BEN = "anna@example.org", "ben@example.org"


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[ServedBed]:
    made = served_bed("mailman", tmp_path / "bed")
    made.strangers = None
    yield made
    made.close()  # asserts that no mail was sent


@pytest.fixture
def courier(bed: ServedBed, tmp_path: Path) -> Iterator[Courier]:
    """``nobody-yet`` is a stranger: no other test that this Mailman serves puts them into a list."""
    made = Courier(bed, tmp_path / "data", "anna", "ben", "dora", "nobody-yet", "new-here")
    yield made
    made.close()


def ended(courier: Courier) -> tuple[Result, str]:
    courier.deliver()
    outcome = courier.outcomes()[-1]
    return outcome.result, outcome.reason


def test_a_mail_that_mailman_sends_is_caught(bed: ServedBed) -> None:
    """So that none at all means that none was sent."""
    bed.put(ANNA, "news")
    number = bed.dialect._ask("GET", f"/lists/{bed.dialect._address('news')}/member/{ANNA}").json()["member_id"]
    bed.dialect._ask("DELETE", f"/members/{number}")
    (mail,) = bed.dialect.mails()
    assert "anna@example.org" in mail
    bed.expected_mails = [mail]


def test_moves_and_removals_send_no_goodbye_from_lists_that_segma_did_not_make(courier: Courier) -> None:
    """Row 11."""
    bed = courier.bed
    for name in ("news", "hot"):
        assert bed.dialect.config(name)["send_goodbye_message"] is True
    bed.put(ANNA, "news")
    courier.send(command("hot", "news"), command("", "hot"), command("news"), command("fresh", "news"))
    assert ended(courier) == (Result.APPLIED, "")
    assert bed.members("fresh") == {ANNA}
    assert bed.dialect.mails() == []


@pytest.mark.parametrize(
    ("mode", "status"), [("mime_digests", "enabled"), ("regular", "by_user"), ("plaintext_digests", "by_moderator")]
)
def test_a_move_carries_how_the_person_gets_their_mail(courier: Courier, mode: str, status: str) -> None:
    """Row 13."""
    bed = courier.bed
    bed.put(ANNA, "news")
    bed.dialect.prefer(ANNA, "news", delivery_mode=mode, delivery_status=status)
    courier.send(command("hot", "news"))
    assert ended(courier) == (Result.APPLIED, "")
    found = bed.dialect.membership(ANNA, "hot")
    assert (found["delivery_mode"], found["delivery_status"]) == (mode, status)


@pytest.mark.parametrize("mode", ["mime_digests", "plaintext_digests", "summary_digests"])
def test_who_gets_digests_is_not_moved_into_a_list_that_sends_none(courier: Courier, mode: str) -> None:
    """8.1, 17: where the list cannot hold how they get their mail, nothing is changed."""
    bed = courier.bed
    bed.put(ANNA, "news")
    bed.dialect.prefer(ANNA, "news", delivery_mode=mode)
    assert bed.dialect.config("hot", digests_enabled="false")["digests_enabled"] is False
    courier.send(command("hot", "news"))
    assert ended(courier) == (Result.SKIPPED, "paused")
    assert (bed.members("hot"), bed.members("news")) == (set(), {ANNA})
    assert bed.dialect.membership(ANNA, "news")["delivery_mode"] == mode
    assert courier.letters() == []


def test_a_list_that_sends_no_digests_takes_whoever_gets_each_mail(courier: Courier) -> None:
    bed = courier.bed
    bed.put(ANNA, "news")
    bed.dialect.config("hot", digests_enabled="false")
    courier.send(command("hot", "news"))
    assert ended(courier) == (Result.APPLIED, "")
    assert (bed.members("hot"), bed.members("news")) == ({ANNA}, set())


def test_who_is_suspended_for_bouncing_stays_where_they_are(courier: Courier) -> None:
    bed = courier.bed
    bed.put(ANNA, "news")
    bed.dialect.prefer(ANNA, "news", delivery_status="by_bounces")
    courier.send(command("hot", "news"))
    assert ended(courier) == (Result.SKIPPED, "undeliverable")
    assert (bed.members("hot"), bed.members("news")) == (set(), {ANNA})


def test_who_is_banned_is_blocked_and_stays_where_they_are(courier: Courier) -> None:
    bed = courier.bed
    bed.put(ANNA, "news")
    bed.dialect.config("hot")
    bed.dialect.ban(ANNA, "hot")
    courier.send(command("hot", "news"))
    assert ended(courier) == (Result.SKIPPED, "blocked")
    assert bed.members("news") == {ANNA}
    assert courier.letters() == []


def test_a_stranger_enters_no_moderated_list_and_a_known_person_does(courier: Courier) -> None:
    bed = courier.bed
    bed.dialect.config("club", subscription_policy="moderate")
    bed.put(ANNA, "news")
    courier.send(command("club", person="nobody-yet"))
    assert ended(courier) == (Result.FAILED, "moderated")
    courier.send(command("club", "news"))
    assert ended(courier) == (Result.APPLIED, "")
    assert bed.members("club") == {ANNA}


def test_a_stranger_is_asked_by_a_list_that_asks_and_only_once(courier: Courier) -> None:
    bed = courier.bed
    bed.dialect.config("double", subscription_policy="confirm")
    courier.send(command("double", person="dora"))
    assert ended(courier) == (Result.APPLIED, "")
    assert courier.outcomes()[-1].changed == ("?double",)
    courier.send(command("double", person="dora"))
    assert ended(courier) == (Result.SKIPPED, "asked")
    mails = bed.dialect.mails()
    assert len(mails) == 1
    assert "dora@example.org" in mails[0]
    bed.expected_mails = mails


def test_who_was_asked_and_has_not_answered_stays_where_they_are(courier: Courier) -> None:
    """8.1, 4. Mailman refuses to let them in as it refuses whoever is a member already: with a 409."""
    bed = courier.bed
    bed.dialect.config("double", subscription_policy="confirm")
    bed.put(BEN, "news")
    waiting = {"list_id": bed.dialect._address("double").replace("@", "."), "subscriber": BEN}
    assert bed.dialect._ask("POST", "/members", **waiting, pre_verified="true").status_code == 202
    courier.send(command("double", "news", person="ben"))
    assert ended(courier) == (Result.SKIPPED, "pending")
    assert (bed.members("double"), bed.members("news")) == (set(), {BEN})
    bed.expected_mails = bed.dialect.mails()


def test_whom_segma_put_into_a_list_has_not_left_it_by_being_taken_out_of_another(courier: Courier) -> None:
    bed = courier.bed
    bed.put(ANNA, "news")
    for given in (command("hot"), command("", "news"), command("", "other"), command("vip", "hot")):
        courier.send(given)
        assert ended(courier)[1] == ""
    assert (bed.members("hot"), bed.members("vip")) == (set(), {ANNA})


def test_a_list_that_segma_makes_is_private_closed_and_announce_only(courier: Courier) -> None:
    courier.send(command("fresh"))
    assert ended(courier) == (Result.APPLIED, "")
    made = courier.bed.dialect.config("fresh")
    assert made["advertised"] is False
    assert made["archive_policy"] == "never"
    assert made["subscription_policy"] == "moderate"
    assert (made["default_member_action"], made["default_nonmember_action"]) == ("reject", "reject")


def test_a_stranger_enters_the_list_that_an_earlier_process_has_made(courier: Courier) -> None:
    """Each :meth:`Courier.deliver` is a process of its own."""
    courier.send(command("fresh"))
    courier.deliver()
    courier.send(command("fresh", person="new-here"))
    assert ended(courier) == (Result.APPLIED, "")
    assert len(courier.bed.members("fresh")) == 2


@pytest.mark.parametrize("taken_over", [{"info": ""}, {"subscription_policy": "confirm_then_moderate"}])
def test_a_list_that_its_owner_has_taken_over_asks_its_moderator(courier: Courier, taken_over: dict[str, str]) -> None:
    courier.send(command("fresh"))
    courier.deliver()
    courier.bed.dialect.config("fresh", **taken_over)
    courier.send(command("fresh", person="nobody-yet"))
    assert ended(courier) == (Result.FAILED, "moderated")
    assert courier.bed.members("fresh") == {ANNA}


def test_the_settings_of_new_lists_can_be_chosen(bed: ServedBed) -> None:
    sink = bed.sink(new_lists={"advertised": "true"})
    sink.apply([Change("c", "s", ANNA, ("fresh",))])
    assert bed.dialect.config("fresh")["advertised"] is True


def test_a_pattern_is_an_address_and_nobody_elses(courier: Courier) -> None:
    """Row 12: the search for members takes ``*`` as any text."""
    bed = courier.bed
    bed.put("innocent@example.net", "hot")
    courier.addresses["s_star"] = "*@example.net"
    entry = DirectoryEntry("w", "s_star", "*@example.net")
    courier.publish(Outgoing(SUBSCRIBERS, subscriber_key("w", "s_star"), to_json(entry)))
    courier.send(command("", "hot", person="star"))
    assert ended(courier) == (Result.ALREADY, "")
    assert bed.members("hot") == {"innocent@example.net"}
