"""The notebook, executed against the embedded ClickHouse with a month of people in it; every picture is drawn."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path
from random import Random

import nbformat
import pytest
from nbclient import NotebookClient

from analytics.clickhouse import ClickHouse
from tests.analytics.embedded import Embedded
from tests.analytics.story import Written, at, baseline, event, moved, put, runs, session

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "docs" / "notebooks" / "history.ipynb"
PICTURES = ("sizes", "daily", "funnel", "waiting", "latency", "overlap", "campaigns")


def a_month() -> Iterator[Written]:
    """120 people: all in the newsletter, two thirds move to one of two lists at some day, some are VIPs as well."""
    random = Random(4)
    for number in range(120):
        person, day = f"p{number}", random.randint(1, 25)
        yield baseline(person, "newsletter", at(0))
        if number % 5 == 0:
            yield baseline(person, "vip", at(2))
        steps = [
            event(person, 1, "email_clicked", at(day)),
            event(person, 2, "page_viewed", at(day, random.randint(5, 90) * 1_000)),
        ]
        yield from steps
        yield session(person, at(day), 2, random.choice(("spring", "autumn", "")), 60_000)
        if number % 3:
            to_list = random.choice(("hot", "warm"))
            yield from moved(person, steps, answered_ms=random.randint(90, 400), to_list=to_list)
    for hour in range(7 * 24 + 1):
        yield runs(1, at(21) + hour * 3_600_000, (2, 20 + hour % 24, 20), (3, hour // 24, 1))


@pytest.mark.slow
def test_every_picture_of_the_notebook_is_drawn(embedded: Embedded, story: ClickHouse, tmp_path: Path) -> None:
    put(story, a_month())
    notebook = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    environment = {
        "SEGMA_HOME": str(embedded.home),
        "SEGMA_CLICKHOUSE_DATABASE": "segma",
        "SEGMA_NOW_MS": str(at(28)),
        "PYTHONPATH": str(ROOT),
    }
    client = NotebookClient(
        notebook, timeout=280, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute(env={**os.environ, **environment})
    pictures = [
        output["data"]["image/png"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == len(PICTURES)
    folder = Path(os.environ.get("SEGMA_PICTURES", tmp_path))
    for name, picture in zip(PICTURES, pictures, strict=True):
        data = base64.b64decode(picture)
        assert len(data) > 5_000, f"{name} is hardly a picture"
        (folder / f"{name}.png").write_bytes(data)
    said = [
        output for cell in notebook.cells for output in cell.get("outputs", []) if output["output_type"] == "stream"
    ]
    assert said == []


def test_the_notebook_is_kept_without_its_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    assert [cell["source"] for cell in notebook.cells if cell.get("outputs")] == []
