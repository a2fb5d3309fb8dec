"""Writes ``docs/reference/`` from the code: ``python -m tests.docs.reference``. A test holds the pages to it."""

from __future__ import annotations

import ast
import functools
import inspect
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from cli.__main__ import COMMANDS
from cli.actions import how, sample_listener
from cli.compile import ROOMS
from contracts import topics
from contracts.action import Action
from contracts.actions import ACTIONS
from contracts.codec import Value
from contracts.topics import fixed_topics
from tests.docs.history_tables import tables_page
from tests.docs.http_doors import DOORS
from tests.docs.topic_descriptions import asyncapi

ROOT: Final = Path(__file__).resolve().parents[2]
PAGES: Final = ROOT / "docs" / "reference"
MADE: Final = "<!-- Made from the code by `python -m tests.docs.reference`; change the code instead. -->\n"
RECORDS: Final = ("beacons", "events", "commands", "rows", "accounts", "captures", "versions", "at_work", "errors")
"""The modules of ``contracts/`` whose types stand in a record of the log."""
METERS: Final = {
    "Counter": "counter",
    "Gauge": "gauge",
    "Histogram": "histogram",
    "CounterMetricFamily": "counter",
    "GaugeMetricFamily": "gauge",
}


def sentence(text: str | None) -> str:
    """A docstring's text on one line, in Markdown instead of reStructuredText."""
    words = " ".join((text or "").split())
    for role in (":class:", ":func:", ":mod:", ":data:", ":meth:", ":attr:"):
        words = words.replace(f"{role}`~", f"{role}`").replace(role, "")
    return words.replace("``", "`").replace("|", "\\|")


def options_of(command: click.Command) -> Iterator[str]:
    """A line of a table for each argument and option of a command."""
    for each in command.params:
        if isinstance(each, click.Argument):
            yield f"| `{(each.name or '').upper()}` | {'needed' if each.required else 'may be left out'} |"
        elif isinstance(each, click.Option) and not each.hidden:
            names = ", ".join(f"`{name}`" for name in (*each.opts, *each.secondary_opts))
            # A default that hangs on the machine or on another option says nothing of the command.
            shown = each.show_default and isinstance(each.default, int | float | str) and not each.is_flag
            default = f" [default: {each.default}]" if shown else ""
            yield f"| {names} | {sentence(each.help)}{default}{' [needed]' if each.required else ''} |"


def commands_of(name: str, command: click.Command) -> Iterator[str]:
    """The part of the page about one command, and the parts of its own commands."""
    yield f"## {name}\n" if name.count(" ") == 1 else f"### {name}\n"
    yield sentence(command.help) + "\n"
    if lines := list(options_of(command)):
        yield "\n".join(["| argument, option | |", "|---|---|", *lines]) + "\n"
    if isinstance(command, click.Group):
        for each, own in command.commands.items():
            yield from commands_of(f"{name} {each}", own)


def cli_page() -> str:
    """Every command with its arguments and options."""
    parts = ["# Commands\n", MADE, "What `segma COMMAND --help` says, on one page. Exit codes: `segma --help`.\n"]
    for name, (module, _) in COMMANDS.items():
        parts += commands_of(f"segma {name}", getattr(import_module(module), f"{name}_command"))
    return "\n".join(parts)


def meters() -> Iterator[tuple[str, str, str, str]]:
    """Name, kind, labels and help of each metric that the source makes, by its constructor's arguments."""
    for path in sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name | ast.Attribute):
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            words = [each.value for each in node.args if isinstance(each, ast.Constant)]
            if name not in METERS or len(words) < 2 or not str(words[0]).startswith("segma_"):
                continue
            given = [*node.args[2:], *(each.value for each in node.keywords if each.arg in {"labels", "labelnames"})]
            labels = [ast.literal_eval(each) for each in given if isinstance(each, ast.List | ast.Tuple)]
            kind, own = METERS[name], str(words[0])
            own += "_total" if kind == "counter" and not own.endswith("_total") else ""
            yield own, kind, ", ".join(f"`{each}`" for each in (labels[0] if labels else ())), str(words[1])


def metrics_page() -> str:
    """Every metric of every process."""
    lines = [f"| `{name}` | {kind} | {labels} | {text} |" for name, kind, labels, text in sorted(set(meters()))]
    text = "What the processes tell Prometheus. Which port serves them: [configuration.md](../configuration.md).\n"
    return "\n".join(["# Metrics\n", MADE, text, "| name | kind | labels | |", "|---|---|---|---|", *lines, ""])


def constants_of_topics() -> dict[str, str]:
    """Topic name → what stands under its constant in the source."""
    body = ast.parse(inspect.getsource(topics)).body
    found = {}
    for node, text in pairwise(body):
        match node, text:
            case ast.AnnAssign(value=ast.Constant(value=name)), ast.Expr(value=ast.Constant(value=said)):
                found[str(name)] = sentence(str(said))
    return found


def topics_page() -> str:
    """Every topic with its shape, key and value."""
    about, lines = constants_of_topics(), []
    for topic in fixed_topics():
        kept = "compacted" if topic.compacted else f"{topic.retention_ms // topics.DAY_MS} days"
        lines.append(f"| `{topic.name}` | {topic.partitions} | {kept} | {about[topic.name]} |")
    lines += [
        "| `moves.WORKSPACE.ACCOUNT` | 1 | 30 days | Key: the subscriber. Value: `Command` (JSON): live commands. |",
        "| `backfill.WORKSPACE.ACCOUNT` | 1 | 30 days | The same, behind the live ones. |",
    ]
    text = (
        "The topics of the log with the embedded log's partitions; `partitions` and `retention` of `segma.yaml` change"
        " them\n([configuration.md](../configuration.md)). The values as JSON Schema: [records.json](records.json);"
        " topics and values as\nAsyncAPI: [asyncapi.json](asyncapi.json).\n"
    )
    head = ["# Topics\n", MADE, text, "| topic | partitions | kept | |", "|---|---|---|---|"]
    return "\n".join([*head, *lines, ""])


def record_types() -> list[type[Value]]:
    """Every type that stands in a record of the log, in the order of its module and name; none that only reads some."""
    found = []
    for name in RECORDS:
        module = import_module(f"contracts.{name}")
        own = [each for each in vars(module).values() if inspect.isclass(each) and each.__module__ == module.__name__]
        public = (each for each in own if issubclass(each, Value) and not each.__name__.startswith("_"))
        found += sorted(public, key=lambda each: each.__name__)
    return found


def records_schema() -> str:
    """The JSON Schema of every record type."""
    _, components = msgspec.json.schema_components(record_types(), ref_template="#/$defs/{name}")
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Records of Segma's log",
        "$defs": dict(sorted(components.items())),
    }
    return as_json(schema)


def as_json(described: Any) -> str:
    """A description as it stands in its file."""
    return json.dumps(described, indent=1, ensure_ascii=False) + "\n"


def door_file(name: str) -> str:
    """One door as OpenAPI."""
    return as_json(DOORS[name]())


def doors_page() -> str:
    """Every operation of every HTTP door."""
    lines = []
    for name, made in DOORS.items():
        described = made()
        lines += [
            f"## {name}\n",
            f"{described['info']['description']} As OpenAPI: [{name}.openapi.json]({name}.openapi.json).\n",
        ]
        lines += ["| operation | what for | answers |", "|---|---|---|"]
        for path, item in described["paths"].items():
            for method, operation in item.items():
                if method not in {"parameters", "description"}:
                    answers = ", ".join(operation["responses"])
                    lines.append(f"| `{method.upper()} {path}` | {operation['summary']} | {answers} |")
        lines.append("")
    text = (
        "What the processes answer over HTTP. Tests let Schemathesis ask each door;"
        " `python -m tests.docs.schemathesis_run` asks as long\nas one likes, of an installation that it makes.\n"
    )
    return "\n".join(["# HTTP doors\n", MADE, text, *lines])


def action_part(action: Action) -> Iterator[str]:
    """The part of the page about one action."""
    yield f"## {action.name}\n"
    source = f"From: {action.captured_from}; {how(action)}." if action.markup else f"{how(action).capitalize()}."
    said = [sentence(action.meaning), source]
    if action.asked_by:
        said.append(f"A listener says which by {' or '.join(f'`{each}`' for each in action.asked_by)}.")
    if action.allowed_as:
        said.append(f"Only where a live listener asks for it and the site has `capture: [{action.allowed_as}]`.")
    yield " ".join(said) + "\n"
    if action.markup:
        yield f"```html\n{action.markup}\n```\n"
    if action.sample:
        yield f"Properties, as in a sample: `{json.dumps(action.sample, ensure_ascii=False)}`.\n"
    yield f"```yaml\n{sample_listener(action)}```\n"


def actions_page() -> str:
    """Every action with its markup, a sample of its properties and a listener that waits for it."""
    text = (
        "Every action that a listener can name, as `./segma actions` says them, with the markup that makes a page send"
        " it. `COLLECTOR`,\n`KEY` and `TOKEN` stand for what `segma init` and `segma link` print. Your own actions:"
        " [listeners.md](../listeners.md); how\npages are captured: [sdk.md](../sdk.md).\n"
    )
    lines = [f"| [`{each.name}`](#{each.name}) | {sentence(each.meaning)} |" for each in ACTIONS]
    parts = ["# Actions\n", MADE, text, "| action | |", "|---|---|", *lines, ""]
    for each in ACTIONS:
        parts += action_part(each)
    return "\n".join(parts)


WRITERS: Final[Mapping[str, Callable[[], str]]] = {
    "cli.md": cli_page,
    "actions.md": actions_page,
    "tables.md": lambda: tables_page(MADE),
    "metrics.md": metrics_page,
    "topics.md": topics_page,
    "records.json": records_schema,
    "asyncapi.json": lambda: as_json(asyncapi(constants_of_topics(), record_types())),
    "http.md": doors_page,
    **{f"{name}.openapi.json": functools.partial(door_file, name) for name in DOORS},
}


def main() -> None:
    """Write every page."""
    PAGES.mkdir(parents=True, exist_ok=True)
    for name, write in WRITERS.items():
        (PAGES / name).write_text(write(), encoding="utf-8")
        sys.stdout.write(f"docs/reference/{name}\n")


if __name__ == "__main__":
    main()
