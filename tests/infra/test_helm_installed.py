"""What the chart makes of a cluster in which it is installed already: it asks, where it is not only a template."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.infra.chart import CHART, Document, rendered, run
from tests.infra.known_objects import knowing

pytestmark = pytest.mark.slow

REFUSED = "the upgrade that changes flow.of says in flow.rescaleFrom what it was"


def flows(values: str) -> Document:
    """The flows' StatefulSet of a release with these values."""
    (found,) = (
        each
        for each in rendered(["--set", values])
        if each["metadata"]["name"] == "segma-flow" and "template" in each["spec"]
    )
    return found


def upgrade(values: str, objects: Sequence[Document]) -> str:
    """What an upgrade to these values would apply where these objects are; or what it says against it."""
    with knowing(objects) as url:
        asked = ("--dry-run=server", "--disable-openapi-validation", "--kube-apiserver", url)
        done = run("template", "segma", str(CHART), "--set", values, *asked)
    assert (done.returncode == 0) == bool(done.stdout), done.stderr
    return done.stdout or done.stderr


@pytest.mark.parametrize(
    ("at_work", "values"),
    [
        ("flow.of=2", "flow.of=5"),
        ("flow.of=2", "flow.of=5,image.tag=9.9.9"),  # with a new release at once
        ("flow.of=2", "flow.of=1"),
        ("flow.of=2", "flow.of=5,flow.rescaleFrom=3"),
        ("flow.of=5", "flow.of=5,flow.rescaleFrom=2"),
    ],
)
def test_another_number_of_flows_is_refused_where_it_is_not_said_what_it_was(at_work: str, values: str) -> None:
    said = upgrade(values, [flows(at_work)])
    assert REFUSED in said
    assert f"{at_work[-1]} flow processes are at work" in said


@pytest.mark.parametrize(
    ("at_work", "values"),
    [
        ("flow.of=2", "flow.of=2,image.tag=9.9.9"),
        ("flow.of=2", "flow.of=5,flow.rescaleFrom=2"),
        ("flow.of=5,flow.rescaleFrom=2", "flow.of=5,flow.rescaleFrom=2"),  # it goes on
        ("flow.of=5,flow.rescaleFrom=2", "flow.of=2"),  # it goes back
        ("flow.of=5,flow.rescaleFrom=2", "flow.of=5"),
    ],
)
def test_the_upgrades_of_a_rescale_are_let_through(at_work: str, values: str) -> None:
    assert "kind: StatefulSet" in upgrade(values, [flows(at_work)])


def test_another_number_of_groups_is_refused() -> None:
    """The states' key groups are frozen: the flows would not start."""
    said = upgrade("flow.groups=32", [flows("flow.groups=16")])
    assert "flow.groups is 32, and the flows' states are of 16" in said
    assert "kind: StatefulSet" in upgrade("flow.groups=32,flow.of=3", [flows("flow.groups=32,flow.of=3")])


def test_a_claim_that_is_there_is_not_made_again() -> None:
    """A claim of a time when there were more flows: it was kept, and is nobody's to change."""
    values = "flow.of=5,flow.rescaleFrom=2"
    claims = [
        each
        for each in rendered(["--set", values])
        if each["kind"] == "PersistentVolumeClaim" and "-flow-" in each["metadata"]["name"]
    ]
    assert [each["metadata"]["name"] for each in claims] == [f"data-segma-flow-{index}" for index in (2, 3, 4)]
    said = upgrade(values, [flows("flow.of=2"), claims[0], claims[2]])
    assert [number for number in (2, 3, 4) if f"\n  name: data-segma-flow-{number}\n" in said] == [3]
