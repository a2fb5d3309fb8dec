"""What random histories of consent once found, each as short as it could be made."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sinks.consent_histories import fault_of
from tests.sinks.consent_steps import Step

FOUND: dict[str, tuple[str, str, tuple[Step, ...]]] = {
    "a look for an earlier command of the same round shows what is graver": (
        "listmonk",
        "never",
        (
            Step("join", "ben", "news"),
            Step("leave", "ben", "news"),
            Step("add", "ben", "vip", number=38),
            Step("remove", "ben", "hot", number=33),
            Step("move", "ben", "hot", "news", 24),
            Step("altogether", "ben"),
            Step("told", "ben", "vip"),
        ),
    ),
    "so it does where the leaving was only reported": (
        "listmonk",
        "never",
        (
            Step("put", "ben", "news"),
            Step("leave", "ben", "news"),
            Step("complain", "ben"),
            Step("report", number=4),
            Step("remove", "ben", "news", number=24),
            Step("move", "ben", "hot", "news", 19),
        ),
    ),
    "whom a leaving takes out is looked at before": (
        "listmonk",
        "never",
        (
            Step("put", "ben", "hot"),
            Step("fail", "ben", "vip", "news", 11),
            Step("add", "ben", "hot", number=4),
            Step("leave", "ben", "hot"),
            Step("join", "ben", "vip"),
            Step("leave", "ben", "vip"),
            Step("complain", "ben"),
            Step("report", number=30),
            Step("fail", "ben", "hot", "news", 12),
        ),
    ),
    "a token after a look that showed an erasure": (
        "activecampaign-lists",
        "add",
        (
            Step("put", "anna", "hot"),
            Step("import", "ben", "hot"),
            Step("erase", "anna"),
            Step("remove", "anna", "hot", number=27),
            Step("token", "anna", number=13),
        ),
    ),
    "so it is for whom Segma had put in": (
        "listmonk",
        "add",
        (
            Step("add", "anna", "hot", number=1),
            Step("erase", "anna"),
            Step("remove", "anna", "hot", number=1),
            Step("token", "anna", number=13),
        ),
    ),
    "a look shows that they left a list which nothing has asked for yet": (
        "listmonk",
        "add",
        (
            Step("put", "anna", "vip"),
            Step("leave", "anna", "vip"),
            Step("token", "anna", number=8),
            Step("put", "anna", "vip"),
            Step("move", "anna", "hot", "news", 26),
        ),
    ),
    "whom an import saw, and Segma was to take out, is a stranger when they are gone": (
        "listmonk",
        "never",
        (
            Step("put", "anna", "news"),
            Step("import", "anna", "news"),
            Step("remove", "anna", "news", number=6),
            Step("erase", "anna"),
            Step("told", "anna", "news"),
            Step("move", "anna", "hot", "news", 10),
        ),
    ),
    "a look at a person asks of every list where they would else count as gone": (
        "mailman",
        "never",
        (
            Step("put", "anna", "hot"),
            Step("add", "anna", "vip", number=13),
            Step("remove", "anna", "news", number=38),
            Step("move", "anna", "hot", "vip", 7),
        ),
    ),
    "whom an undo misses, and others took out, has not left everything by a list that they left before": (
        "listmonk",
        "add",
        (
            Step("put", "anna", "news"),
            Step("put", "anna", "hot"),
            Step("leave", "anna", "news"),
            Step("add", "anna", "news", number=1),
            Step("move", "anna", "hot", "vip", 1),
            Step("taken", "anna", "vip"),
            Step("undo", number=1),
            Step("move", "anna", "vip", "hot", 1),
        ),
    ),
    "a joining at no known time that a look did not show is confirmed by no administrator's later putting in": (
        "brevo",
        "never",
        (
            Step("join", "ben", "news"),
            Step("complain", "ben"),
            Step("move", "ben", "hot", "vip", 1),
            Step("report", number=30),
            Step("erase", "ben"),
            Step("move", "ben", "vip", "hot", 19),
            Step("put", "ben", "news"),
            Step("move", "ben", "hot", "vip", 32),
        ),
    ),
    "of several leavings that one look shows each is followed": (
        "mailman",
        "add",
        (
            Step("move", "anna", "vip", "hot", 13),
            Step("move", "anna", "news", "vip", 26),
            Step("move", "anna", "vip", "news", 10),
            Step("erase", "anna"),
            Step("move", "anna", "hot", "news", 13),
            Step("undo", number=3),
            Step("undo", number=4),
        ),
    ),
}


@pytest.mark.parametrize(("platform", "strangers", "steps"), FOUND.values(), ids=FOUND)
def test_a_history_that_once_ended_otherwise_ends_as_the_model_says(
    platform: str, strangers: str, steps: tuple[Step, ...], tmp_path: Path
) -> None:
    assert fault_of(platform, steps, tmp_path, strangers)[0] == ""


@pytest.mark.parametrize("at", range(1, 13))
@pytest.mark.parametrize("platform", ["mailchimp", "listmonk"])
def test_a_stranger_is_asked_once_at_whatever_step_the_process_dies(platform: str, at: int, tmp_path: Path) -> None:
    """8.1, 4: the opt-in is noted before the call, so a repetition says `asked` and sends no second mail."""
    steps = [Step("move", "anna", "vip", "hot", 24), Step("crash", number=at), Step("add", "anna", "hot", number=1)]
    assert fault_of(platform, steps, tmp_path, "opt_in")[0] == ""


@pytest.mark.parametrize("at", range(9, 13))
def test_whom_segma_was_making_known_when_the_process_died_is_asked_nothing(at: int, tmp_path: Path) -> None:
    """8.1, 4 and 17: with `strangers: add` a stranger gets no mail, though a repetition finds them at the platform."""
    steps = [Step("add", "anna", "hot", number=3), Step("crash", number=at)]
    assert fault_of("listmonk", steps, tmp_path, "add", "opt_in")[0] == ""


@pytest.mark.parametrize("at", range(6, 9))
def test_who_was_asked_by_a_call_in_doubt_is_asked_by_no_later_process(at: int, tmp_path: Path) -> None:
    """8.1, 4: the outcome says `asked` and no more, and the next process knows of the mail by that."""
    steps = [
        Step("put", "ben", "vip"),
        Step("add", "ben", "hot", number=3),
        Step("crash", number=at),
        Step("add", "ben", "news", number=3),
        Step("crash", number=1),
    ]
    assert fault_of("listmonk", steps, tmp_path, "add", "opt_in")[0] == ""
