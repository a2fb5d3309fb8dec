"""The door while the log is away: beacons wait on the disk, in order, and links lead on."""

from __future__ import annotations

import json
from pathlib import Path

import falcon.testing

from contracts.tokens import stored_device
from tests.collector.door import (
    BROWSER,
    ORIGIN,
    SECRET,
    Collector,
    beacon,
    got,
    posted,
    reason,
    talk,
    token,
)


def test_while_the_log_is_away_beacons_wait_on_the_disk_in_order(collector: Collector) -> None:
    async def script(conductor: falcon.testing.ASGIConductor) -> None:
        collector.log.away = True
        for number in range(5):
            body = json.dumps(beacon(device=f"d{number}")).encode()
            result = await conductor.simulate_post("/v1/beacons", body=body, headers={"Origin": ORIGIN})
            assert result.status_code == 204
        assert collector.log.records == []
        assert collector.core.intake.spooled_bytes > 0
        collector.log.away = False
        body = json.dumps(beacon(device="d5")).encode()
        await conductor.simulate_post("/v1/beacons", body=body, headers={"Origin": ORIGIN})
        await collector.core.intake.drained()

    talk(collector, script)
    assert [record.device for record in collector.beacons()] == [
        stored_device(SECRET, f"d{number}") for number in range(6)
    ]


def test_a_full_spool_answers_503_and_links_still_lead_on(tmp_path: Path) -> None:
    collector = Collector(tmp_path, spool_bytes=1_024)
    collector.log.away = True

    async def script(conductor: falcon.testing.ASGIConductor) -> list[falcon.testing.Result]:
        body = json.dumps(beacon()).encode()
        return [await conductor.simulate_post("/v1/beacons", body=body, headers={"Origin": ORIGIN}) for _ in range(9)]

    results = talk(collector, script)
    assert results[0].status_code == 204
    assert (results[-1].status_code, reason(results[-1])) == (503, "spool_full")
    assert int(results[-1].headers["Retry-After"]) > 0
    assert got(collector, f"/r/{token()}", params={"u": "https://shop.example/"}, headers=BROWSER).status_code == 302
    assert got(collector, f"/o/{token()}.gif", headers=BROWSER).status_code == 200


def test_what_waited_is_stored_after_a_restart(tmp_path: Path) -> None:
    first = Collector(tmp_path)
    first.log.away = True
    assert posted(first, beacon()).status_code == 204
    second = Collector(tmp_path)

    async def script(conductor: falcon.testing.ASGIConductor) -> None:
        await second.core.intake.drained()

    talk(second, script)
    assert [record.device for record in second.beacons()] == [stored_device(SECRET, "d1")]
