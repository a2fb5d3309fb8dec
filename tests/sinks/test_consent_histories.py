"""Random histories of consent on each imitated platform, judged by the model; for more: ``consent_histories``."""

from __future__ import annotations

import pytest

from tests.sinks.consent_histories import run
from tests.sinks.consent_platforms import PLATFORMS

pytestmark = pytest.mark.slow

HISTORIES = 30


@pytest.mark.parametrize("platform", PLATFORMS)
def test_random_histories_end_as_the_model_says(platform: str) -> None:
    said: list[str] = []
    wrong, counts = run(platform, HISTORIES, seed=8, say=said.append)
    assert wrong == 0, "\n".join(said)
    assert counts["applied"] > HISTORIES
    assert counts["unsubscribed"] > 0
