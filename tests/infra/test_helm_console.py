"""The console of a release of the chart: whom the Secret names comes in, asks the history, and changes a listener."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import requests

from console.history import AWAY
from tests.broker import Broker
from tests.console.visitor import PASSWORD
from tests.infra.installed import USER, Installed
from tests.infra.pods import Pod
from tests.recovery.mixed_builds import awaited

pytestmark = [pytest.mark.alone, pytest.mark.slow, pytest.mark.broker]

LISTENER = "/w/demo/listeners/engaged"


class Forwarded(requests.Session):
    """A browser behind ``kubectl port-forward``: it asks for a name of loopback, and the console itself answers."""

    def __init__(self, pod: Pod) -> None:
        super().__init__()
        self._at = f"http://{pod.address}:8401"
        self.headers.update({"Host": "localhost:8401", "Sec-Fetch-Site": "same-origin"})

    def look(self, path: str) -> requests.Response:
        """A page."""
        return self.get(f"{self._at}{path}", timeout=30)

    def submit(self, path: str, **form: str) -> requests.Response:
        """Send a form."""
        return self.post(f"{self._at}{path}", form, allow_redirects=False, timeout=60)


def test_somebody_of_the_secret_comes_in_asks_the_history_and_rolls_a_listener_back(
    tmp_path: Path, broker: Broker
) -> None:
    home = tmp_path / "home"
    with Installed(home, broker.settings(home / "data")) as world:
        world.upgrade("collector.replicas=1", "flow.of=1")
        (pod,) = world.pods.ready("console")
        with Forwarded(pod) as visitor:
            assert visitor.submit("/login", name=USER, password="another", next="/").status_code == 401
            assert visitor.submit("/login", name=USER, password=PASSWORD, next="/").status_code == 303
            awaited(lambda: visitor.look(LISTENER).ok)  # the flow applies it
            activity = visitor.look(f"{LISTENER}?part=activity")
            assert activity.ok, activity.text
            assert AWAY not in activity.text
            mark = re.search(r'name="csrf" value="([^"]+)"', visitor.look(LISTENER).text)
            assert mark is not None
            changed = visitor.submit(f"{LISTENER}/roll-back", version="1", csrf=mark[1])
            assert changed.status_code == 303, changed.text
        assert "version: 2" in (pod.folder / "home/segma/data/home/listeners/engaged.yaml").read_text()
        world.pods.alive()
