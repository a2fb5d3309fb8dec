"""The state's metrics: what it holds, and every bound that bit."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.registry import CollectorRegistry

from contracts.log import Record
from contracts.reasons import Reason
from contracts.topics import BEACONS
from flows.operators.logic import RecogniseLogic
from flows.operators.meters import watch_state
from flows.state.changelog import Changelog
from flows.subscriber.limits import WITHOUT_COMMAND, Limit
from tests.flows.test_changelog import store_of
from tests.flows.test_logic_crashes import beacon, shared


def test_every_bound_and_the_state_are_served(tmp_path: Path) -> None:
    changelog, registry, common = Changelog(tmp_path), CollectorRegistry(), shared()
    watch_state(changelog, [common.bounds, common.engines["w"].bounds], registry)
    found = store_of(changelog)
    found.put("k1", [1, 2])
    found.snapshot()
    common.bounds.hit(Limit.ANONYMOUS, 3)
    common.engines["w"].bounds.hit(Limit.ANONYMOUS)
    assert registry.get_sample_value("segma_state_bounds_total", {"bound": "anonymous"}) == 4
    for bound in Limit:
        assert registry.get_sample_value("segma_state_bounds_total", {"bound": bound.value}) is not None
    common.engines["w"].bounds.without_command[Reason.CAPPED] += 2
    why = "segma_matches_without_command_total"
    assert registry.get_sample_value(why, {"reason": "capped"}) == 2
    assert [registry.get_sample_value(why, {"reason": each.value}) for each in WITHOUT_COMMAND].count(None) == 0
    assert registry.get_sample_value("segma_state_keys") == 1
    assert registry.get_sample_value("segma_state_live_bytes") == len("k1") + len("[1,2]") + 1
    assert registry.get_sample_value("segma_state_file_bytes") == changelog.total_bytes


def test_devices_that_are_nobodys_are_bounded_and_those_used_longest_ago_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.operators.device_group.MAX_ANONYMOUS", 0)  # a group's share is sixteen at least
    common = shared()
    changelog = Changelog(tmp_path)
    logic = RecogniseLogic(common, changelog, None)
    devices = [f"d{number}" for number in range(20)]
    for offset, device in enumerate([*devices[:16], "d0", *devices[16:]]):
        record = Record(BEACONS, 0, offset, offset, f"w/{device}".encode(), beacon(device, "page_viewed", at_ms=offset))
        logic.on_batch([[record]])
    logic.snapshot()
    assert (common.bounds.total[Limit.ANONYMOUS], changelog.keys) == (4, 16)
    told = beacon("d0", "page_viewed", at_ms=30, subscriber="s_anna")
    out, _ = logic.on_batch([[Record(BEACONS, 0, 30, 30, b"w/d0", told)]])
    assert sum(b'"stitched":true' in (each.value or b"") for each in out) == 2, "d0 was used again in time"
