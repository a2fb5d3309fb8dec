"""Nothing that a stranger wrote steers the terminal of whoever looks at it."""

from __future__ import annotations

import ast
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table

from cli.__main__ import cli
from cli.output import STEERING, SafeConsole, json_line, one_line, visible
from contracts.codec import to_json, to_msgpack
from contracts.events import Event
from contracts.log import Outgoing
from contracts.rows import DeadLetter, EventRow
from contracts.topics import DEAD_LETTERS, ROWS, fixed_topics
from transport import open_log
from transport.config import Settings

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = "\x1b]0;title\x07\x1b[2J\x9b31m\r\x08\x7f\u202egpj.exe\u2066[bold red]x[/nothing] :warning: \u200f"
CONFIG = """
token_keys: {file: keys}
workspaces:
  demo:
    secret: {file: secret}
    sites: {shop: {key: shop-key}}
    accounts: {mailbox: {sink: file}}
"""


def console(width: int = 400) -> tuple[SafeConsole, io.StringIO]:
    file = io.StringIO()
    options = {"markup": False, "emoji": False, "highlight": False}
    return SafeConsole(file=file, width=width, force_terminal=True, color_system=None, **options), file  # type: ignore[arg-type]


@given(st.text())
def test_whatever_is_printed_holds_nothing_that_steers(text: str) -> None:
    printed, file = console()
    table = Table(text, title=text)
    table.add_row(text)
    printed.print(text, table)
    shown = file.getvalue()
    assert STEERING.search(shown.replace("\x1b[1m", "").replace("\x1b[3m", "").replace("\x1b[0m", "")) is None
    assert STEERING.search(visible(text)) is None
    assert "\n" not in one_line(text)


TEXTS = st.text(st.characters(codec="utf-8"))


@given(st.recursive(TEXTS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner)))
def test_json_means_the_same_and_holds_nothing_that_steers(value: object) -> None:
    line = json_line(value)
    assert json.loads(line) == value
    assert STEERING.search(line.decode().rstrip("\n")) is None


def test_markup_of_a_stranger_is_text() -> None:
    printed, file = console()
    printed.print("[bold]x[/nothing] [link=https://evil.example]y[/link] :warning:")
    assert file.getvalue().strip() == "[bold]x[/nothing] [link=https://evil.example]y[/link] :warning:"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "segma.yaml").write_text(CONFIG)
    (tmp_path / "secret").write_text("s" * 40)
    (tmp_path / "keys").write_text(f"k1 {'ab' * 64}\n")
    log = open_log(Settings(data=tmp_path / "data"))
    log.ensure(fixed_topics())
    event = Event("demo", HOSTILE, "e1", HOSTILE, 1_700_000_000_000, properties={HOSTILE: HOSTILE})
    letter = DeadLetter(
        HOSTILE,
        f"http{HOSTILE}",
        -1,
        -1,
        1,
        detail=HOSTILE,
        site=HOSTILE,
        key=HOSTILE.encode(),
        value=HOSTILE.encode() + b"\x9b\xff",
    )
    log.publisher().publish(
        [
            Outgoing(ROWS, b"k", to_json(EventRow(event, reason=HOSTILE))),
            Outgoing(DEAD_LETTERS, b"k", to_msgpack(letter)),
        ]
    )
    log.close()
    return tmp_path


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize(
    "words",
    [("tail", "--from-start", "--count", "1"), ("deadletters", "list"), ("deadletters", "show", "0")],
    ids=lambda words: " ".join(words[:2]),
)
def test_commands_show_what_strangers_wrote_as_text(home: Path, words: tuple[str, ...], as_json: bool) -> None:
    done = CliRunner().invoke(cli, [*words, "--home", str(home), *(["--json"] if as_json else [])])
    assert done.exit_code == 0, done.output
    assert STEERING.search(done.output) is None
    assert "gpj.exe" in done.output


def test_commands_print_by_the_safe_ways_alone() -> None:
    """No ``print``, ``click.echo`` or console of one's own in ``cli/``; raw bytes only in the files named here."""
    raw = {"output.py", "match.py", "history.py", "links.py", "listeners.py", "check.py", "compile.py"}
    found = []
    for path in sorted((ROOT / "cli").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if name in {"print", "click.echo", "Console", "click.secho"}:
                found.append(f"{path.name}: {name}")
            if name.startswith("sys.stdout") and path.name not in raw:
                found.append(f"{path.name}: {name}")
    assert found == []


def test_a_command_that_a_message_names_is_typed_as_this_one_was(monkeypatch: pytest.MonkeyPatch) -> None:
    said = []
    for called in ("segma", "./segma"):
        monkeypatch.setenv("SEGMA_CALLED", called)
        shown, file = console()
        shown.print("`segma up` runs it; segma.yaml stays")
        said.append(file.getvalue())
    assert said == ["`segma up` runs it; segma.yaml stays\n", "`./segma up` runs it; segma.yaml stays\n"]
