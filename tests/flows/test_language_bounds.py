"""Whatever the bytes: listeners or problems, never a traceback, never more than 200 MB and a bounded amount of work.

The memory's bound is the kernel's: a child process parses each file under RLIMIT_AS. The work's is counted, as calls of
functions, Python's and C's, and their returns: the answer is the same on any machine, however busy.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.actions import VOCABULARY
from contracts.errors import ListenerError
from flows.language.model import Listener
from flows.language.parse import parse_listeners
from flows.language.source import MAX_FILE_BYTES
from flows.replay.examples import parse_examples

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = [path.read_bytes() for path in sorted((ROOT / "listeners").glob("*.yaml"))]
LISTENERS = [data for data in EXAMPLES if data.startswith(b"listener:")]
HEAD = b"listener: x\nsequence:\n"


def bounded(name: str, unit: bytes, before: bytes = b"", after: bytes = b"") -> tuple[str, bytes]:
    """As many of a unit as a file may hold."""
    return name, before + unit * ((MAX_FILE_BYTES - len(before) - len(after)) // len(unit)) + after


def counted(name: str, form: str, count: int, before: str = "", after: str = "") -> tuple[str, bytes]:
    return name, (before + "".join(form.replace("%", str(number)) for number in range(count)) + after).encode()


LISTENER = '---\nlistener: x%\nsequence: [{action: page_viewed, where: {a: {matches: "%\\\\pL{99}"}}}]\n'
DEEP = "- any_of: [{" + "any_of: [{" * 7
LINES = ", ".join(f"k{number}: 1" for number in range(50))
ATTACKS = dict(
    [
        *(
            bounded(repr(unit), unit)
            for unit in (
                *(b"[ { ( \" ' # % & * ! | > ? - : , a @ `".split()),
                *(b"- ", b"? ", b"- - ", b"a: ", b"a,", b"[],", b"\n", b" ", b"\t", b"\r", b"\0", b"\xff", b"&a "),
                *(b"- a\n", b"a: b\n", b"? a\n", b"---\n", b"%YAML 1.1\n", b"!!a ", b"|\n a\n", b"\\x41", b"{a: ["),
                *("ü".encode(), "\u2028".encode(), "\U0001f600".encode(), b"<<: {}\n", b"0", b"1:", b"1_", b"*a "),
            )
        ),
        bounded("items in brackets", b"a,", b"[", b"]"),
        bounded("the same field", b"a: b, ", b"{", b"}"),
        bounded("escapes", b"\\U0001f600", b'"', b'"'),
        bounded("steps", b"- action: page_viewed\n", HEAD),
        bounded("unknown fields of steps", b"- {a: page_viewed}\n", HEAD),
        bounded("a long pattern", b"(a*)*", HEAD + b"- {action: page_viewed, where: {a: {matches: '", b"'}}}\n"),
        *(
            (f"a number of {digits} digits", HEAD + b"- {action: page_viewed, where: {a: %s}}" % (b"9" * digits))
            for digits in (309, 3_999)
        ),
        bounded("anchors", b"&a [*a, *a]\n"),
        counted("patterns that are dear", LISTENER, 2_500),
        counted("many unknown names", "k%: 1\n", 24_000),
        counted("many unknown actions", "- {action: page_viewd%}\n", 12_000, HEAD.decode()),
        counted("documents with unknown actions", "---\nlistener: x%\nsequence: [{action: page_viewd%}]\n", 5_000),
        counted("documents with unknown names", "---\nlistner: x%\nseqence: []\n", 8_000),
        counted("a long where", "    k%: 1\n", 20_000, HEAD.decode() + "- action: page_viewed\n  where:\n"),
        counted("a long one_of", "%,", 40_000, HEAD.decode() + "- {action: page_viewed, where: {a: [", "1]}}\n"),
        counted(
            "conditions with much beside",
            "{action: page_viewed, where: {a%: 1}}, ",
            90,
            HEAD.decode() + DEEP,
            "]" + ("}], where: {" + LINES + "}") * 8 + "\n",
        ),
        counted("references", "k%: {same_as: a.k%}, ", 49, HEAD.decode() + "- {step: a, action: page_viewed}\n"
                "- {action: page_viewed, where: {", "}}\n"),
        counted("templates", "{a.k%}", 25, HEAD.decode() + "- {step: a, action: page_viewed}\nthen: [{add: {to: '",
                "', at: x}}]\n"),
    ]
)  # fmt: skip

MOST_CALLS = 6_000_000
"""And returns, of one file. The dearest takes 3.8 million; what is quadratic in a file's bytes takes billions."""

CHILD = """
import resource, sys
from pathlib import Path
from contracts.actions import VOCABULARY
from contracts.errors import ListenerError
from flows.language.parse import parse_listeners

def virtual_bytes():
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()

folder, allowed = Path(sys.argv[1]), int(sys.argv[2])
most = virtual_bytes() + 200 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (most, most))

class TooMuchWork(BaseException):
    pass

def parse_counted(path):
    calls = 0

    def count(frame, event, argument):
        nonlocal calls
        calls += 1
        if calls > allowed:
            sys.setprofile(None)
            raise TooMuchWork(path.name)

    data = path.read_bytes()
    sys.setprofile(count)
    try:
        parse_listeners([(path.name, data)], known_actions=VOCABULARY)
    except ListenerError as error:
        sys.setprofile(None)
        assert 1 <= len(error.problems) <= 101
    finally:
        sys.setprofile(None)

for path in sorted(folder.iterdir()):
    print(path.name, flush=True)
    parse_counted(path)
print("done", flush=True)
"""


def parse_in_child(folder: Path, allowed: int = MOST_CALLS) -> tuple[str, int, str]:
    """The last file begun or ``done``, the return code and the complaint of a child that parses every file."""
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(folder), str(allowed)], capture_output=True, text=True, check=False
    )
    return child.stdout.split()[-1] if child.stdout else "", child.returncode, child.stderr[-2_000:]


@pytest.mark.slow
def test_no_file_takes_more_work_than_is_allowed_or_200_mb(tmp_path: Path) -> None:
    for number, data in enumerate(ATTACKS.values()):
        assert len(data) <= MAX_FILE_BYTES
        (tmp_path / f"{number:03}.yaml").write_bytes(data)
    assert parse_in_child(tmp_path) == ("done", 0, "")


def test_more_work_than_is_allowed_is_seen(tmp_path: Path) -> None:
    (tmp_path / "000.yaml").write_bytes(ATTACKS["many unknown names"])
    last, code, complaint = parse_in_child(tmp_path, allowed=100_000)
    assert (last, code) == ("000.yaml", 1)
    assert "TooMuchWork" in complaint


def test_a_number_larger_than_any_float_is_a_problem() -> None:
    for line in (b"a: %s", b"a: {at_least: %s}", b"a: [-%s]", b"a: {between: [0, %s]}"):
        found = parsed(HEAD + b"- {action: page_viewed, where: {" + line % (b"9" * 400) + b"}}\n")
        assert isinstance(found, ListenerError)
        assert "a number of at most" in str(found)


def parsed(data: bytes) -> list[Listener] | ListenerError:
    try:
        return parse_listeners([("fuzz.yaml", data)], known_actions=VOCABULARY)
    except ListenerError as error:
        return error


WORDS = [
    "listener",
    "version",
    "sequence",
    "step",
    "action",
    "any_of",
    "all_of",
    "where",
    "not",
    "for",
    "times",
    "until",
    "sum",
    "of",
    "next",
    "within",
    "after",
    "session",
    "then",
    "move",
    "from",
    "to",
    "at",
    "tag",
    "add",
    "page_viewed",
    "searched",
    "exists",
    "same_as",
    "between",
    "matches",
    "a.b",
    "true",
    "no",
    "1",
    "0x1",
    "1:30",
    "7d",
    "*",
    "[",
    "]",
    "{",
    "}",
    ":",
    ",",
    "-",
    "&",
    "!",
    "|",
    ">",
    "'",
    '"',
    "#",
    "%",
    "?",
    "@",
    "`",
    "\\",
    "\n",
    "\t",
    "---",
    "...",
    "<<",
    "=",
    "~",
    ".inf",
    "2026-01-01",
    "\x00",
    "\u2028",
    "\ufeff",
    "\ud7ff",
]


@st.composite
def mutilated(draw: st.DrawFn) -> bytes:
    """An example with pieces cut out, doubled and replaced."""
    data = draw(st.sampled_from(EXAMPLES))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 40)))
        piece = draw(
            st.one_of(
                st.binary(max_size=6),
                st.sampled_from(WORDS).map(str.encode),
                st.sampled_from(WORDS).map(lambda word: f" {word}: ".encode()),
                st.just(data[start:end] * 2),
            )
        )
        data = data[:start] + piece + data[end:]
    return data


tokens = st.lists(st.sampled_from(WORDS), max_size=60).map(lambda words: " ".join(words).encode())


@pytest.mark.slow
@settings(max_examples=1_500, deadline=None)
@given(st.one_of(mutilated(), tokens, st.binary(max_size=300)))
def test_any_bytes_are_listeners_or_problems(data: bytes) -> None:
    found = parsed(data)
    if isinstance(found, ListenerError):
        assert found.problems
        assert all(problem.found and problem.wanted and problem.where for problem in found.problems)
        assert all(line.isprintable() for line in str(found).split("\n"))
    else:
        assert found
        assert all(hash(listener) is not None for listener in found)  # frozen, whole


@settings(max_examples=300, deadline=None)
@given(st.one_of(mutilated(), tokens))
def test_any_bytes_are_examples_or_problems(data: bytes) -> None:
    with contextlib.suppress(ListenerError):
        assert parse_examples("fuzz.test.yaml", data, known_actions=VOCABULARY)


@pytest.mark.slow
def test_five_thousand_files_are_parsed_at_once() -> None:
    text = (ROOT / "listeners/spring-basket-abandoned.yaml").read_bytes()
    files = [
        (f"{number}.yaml", text.replace(b"spring-basket-abandoned", b"listener-%d" % number)) for number in range(5_000)
    ]
    assert len({listener.name for listener in parse_listeners(files, known_actions=VOCABULARY)}) == 5_000


def test_a_byte_order_mark_is_no_problem() -> None:
    assert parsed(b"\xef\xbb\xbf" + LISTENERS[0]) == parsed(LISTENERS[0]) != []
