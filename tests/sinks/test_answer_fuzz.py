"""No answer of a platform ends a process or passes for a success; for all of them: ``tests.sinks.answer_fuzz``."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.reasons import Reason
from sinks.base import Change, Fate, PlatformError, Trouble
from sinks.platforms.file import FileSink
from tests.sinks.answer_fuzz import NAMES, fuzz
from tests.sinks.beds import brief

pytestmark = pytest.mark.slow

STEP = 31
"""Of so many spoilings one: no divisor of how many there are of each place."""


@pytest.mark.parametrize("name", NAMES)
def test_a_spoilt_answer_is_trouble_and_never_a_success(name: str, tmp_path: Path) -> None:
    count, wrong = fuzz(name, tmp_path, step=STEP)
    assert wrong == []
    assert count > 50


def test_a_look_again_that_cannot_be_read_leaves_nobody_as_done(tmp_path: Path) -> None:
    """Of a platform that is looked at again after a call: it is not known that they stayed."""
    count, wrong = fuzz("listmonk", tmp_path, step=5, only=10)
    assert wrong == []
    assert count > 40


def spoil_text(path: Path) -> None:
    path.write_bytes(b"\xff\xfe anna@example.org")


@pytest.mark.parametrize("spoil", [spoil_text, Path.mkdir], ids=["no text", "a directory"])
def test_a_list_that_cannot_be_read_is_trouble_of_the_account(tmp_path: Path, spoil: object) -> None:
    sink = FileSink(tmp_path, delay_ms=0, pause=brief)
    assert callable(spoil)
    spoil(tmp_path / "news.txt")
    for change in (
        Change("c1", "s_anna", "anna@example.org", ("news",)),
        Change("c2", "s_anna", "anna@example.org", (), ("news",)),
        Change("c3", "s_anna", "anna@example.org", ("hot",), only_if_in=("news",)),
        Change("c4", "s_anna", "anna@example.org", ("hot",), ("news",), expected_in=("news",)),
    ):
        (answer,) = sink.apply([change])
        assert isinstance(answer, Trouble)
        assert answer.reason in {Reason.UNREACHABLE, Reason.WRONG_ANSWER}
        assert answer.fate is Fate.AWAY
    with pytest.raises(PlatformError):
        list(sink.members("news"))
    assert not (tmp_path / "hot.txt").exists()
