"""What `./segma` finds fresh, who waits for whom, and what `up` compiles."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.clone import Clone, copied

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
SETUP = ROOT / "infra" / "setup"


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(copied(tmp_path))


def test_a_call_that_finds_all_fresh_installs_nothing_and_takes_no_lock(clone: Clone) -> None:
    assert clone.run("doctor") == ["segma: installing requirements.txt …"]
    installed, ran = clone.asked()
    assert "--require-hashes --only-binary :all: -r requirements.txt" in installed
    assert ran.endswith("-m cli doctor")
    with (clone.root / ".venv.flock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert clone.run("doctor") == []
    assert [line.rpartition(": ")[2] for line in clone.asked()] == ["-m cli doctor"]


@pytest.mark.parametrize("changed", ["requirements.txt", ".venv/bin/python"])
def test_a_changed_requirement_or_interpreter_is_seen_even_where_its_time_is_old(clone: Clone, changed: str) -> None:
    clone.run("doctor")
    clone.asked()
    path = clone.root / changed
    path.write_text(path.read_text().replace("3.11.0", "3.12.0") + "# changed\n")
    os.utime(path, (1_000_000_000, 1_000_000_000))
    assert clone.run("doctor") == ["segma: installing requirements.txt …"]


def test_a_file_that_was_written_again_with_the_same_words_installs_nothing(clone: Clone) -> None:
    clone.run("doctor")
    clone.asked()
    path = clone.root / "requirements.txt"
    path.write_text(path.read_text())
    assert clone.run("doctor") == []
    stamp = (clone.root / ".venv" / ".runtime").stat()
    assert stamp.st_mtime > path.stat().st_mtime
    assert len(clone.asked()) == 1


def test_a_second_first_use_waits_for_the_first_and_says_for_what(clone: Clone) -> None:
    hold = Path(f"{clone.asked_file}.hold")
    os.mkfifo(hold)
    first = clone.start("doctor")
    with hold.open("w") as gate:  # opens when uv waits at it
        hold.unlink()
        second = clone.start("runs")
        assert second.stderr is not None
        told = second.stderr.readline()
        expected = rf"segma: waiting for another call, which is making ready: runtime \(process {first.pid}\) …\n"
        assert re.fullmatch(expected, told)
        gate.write("go\n")
    assert [each.wait(60) for each in (first, second)] == [0, 0]
    assert sum("requirements.txt" in line for line in clone.asked()) == 1
    for process in (first, second):
        process.communicate()


def test_a_killed_first_use_leaves_nothing_that_a_later_one_would_wait_for(clone: Clone) -> None:
    hold = Path(f"{clone.asked_file}.hold")
    os.mkfifo(hold)
    first = clone.start("doctor")
    with hold.open("w"):
        os.killpg(first.pid, signal.SIGKILL)
        first.communicate()
    hold.unlink()
    assert clone.run("doctor") == ["segma: installing requirements.txt …"]


def test_ctrl_c_ends_the_installer_too(clone: Clone) -> None:
    hold = Path(f"{clone.asked_file}.hold")
    os.mkfifo(hold)
    first = clone.start("doctor")
    with hold.open("w"):
        first.send_signal(signal.SIGTERM)
        assert first.wait(60) == 143
        first.communicate()  # ends when nobody holds the pipe: uv has gone as well
    hold.unlink()
    assert clone.run("doctor") == ["segma: installing requirements.txt …"]


def test_where_uv_fails_pip_installs(clone: Clone) -> None:
    clone.run("doctor", UV_ENDS="1")
    assert any("-m pip install" in line and "--require-hashes -r requirements.txt" in line for line in clone.asked())


@pytest.fixture
def compiled(clone: Clone) -> Clone:
    clone.run("compile")
    clone.run("doctor")
    clone.asked()
    return clone


def where(clone: Clone) -> str:
    (line,) = clone.asked()
    return line.partition(": ")[0]


def test_the_compiled_machine_runs_while_it_is_of_this_source(compiled: Clone) -> None:
    native = f"cli of {compiled.root}/.venv/native and nothing before it"
    compiled.run("doctor")
    assert where(compiled) == native
    code = compiled.root / "flows" / "code.py"
    code.write_text(code.read_text())
    assert compiled.run("doctor") == []
    assert where(compiled) == native
    code.write_text("ROOM = 'another'\n")
    for _ in range(2):
        (told,) = compiled.run("doctor")
        assert "the compiled machine is older than the source" in told
        assert where(compiled) == f"cli of {compiled.root} and nothing before it"
    code.write_text("ROOM = 'flows'\n")
    assert compiled.run("doctor") == []
    assert where(compiled) == native
    code.rename(code.with_name("elsewhere.py"))
    assert "older than the source" in compiled.run("doctor")[0]


# --- `up` compiles in the background: the compiler and `segma compile` are stand-ins.

BUILD = ("build.mjs", "arrows.mjs", "letters.json", "letters.mjs", "names.mjs", "natives.mjs", "parts.mjs")
SDK = (*BUILD, "package.json", "package-lock.json", "tsconfig.json")


class UpClone:
    """A copy whose SDK is built and whose C compiler is ``tools/cc``."""

    def __init__(self, clone: Clone) -> None:
        self.clone, self.venv = clone, clone.root / ".venv"
        sdk = clone.root / "js-sdk"
        for folder in ("src", "dist"):
            (sdk / folder).mkdir(parents=True)
        for name in (*SDK, "tsconfig.build.json", "src/segma.ts", "dist/segma.js", "dist/.stamp"):
            (sdk / name).write_text("")
        tools = clone.root / "tools"
        tools.mkdir()
        for folder in ("/usr/bin", "/bin"):
            for tool in Path(folder).iterdir():
                # What compilers this machine has must not be found.
                if tool.name not in {"cc", "gcc", "clang"} and not (tools / tool.name).exists():
                    (tools / tool.name).symlink_to(tool)
        self.compiler = tools / "cc"
        self.path = str(tools)
        self.compiler.touch(0o755)

    def run(self, *words: str, **environment: str) -> list[str]:
        """``./segma WORDS``: what it said."""
        return self.clone.run(*words, PATH=self.path, **environment)

    @contextlib.contextmanager
    def compiling(self, **environment: str) -> Iterator[list[str]]:
        """``./segma up``, whose compiler ends with the block, and what that said."""
        gate = Path(f"{self.clone.asked_file}.compiles")
        os.mkfifo(gate)
        said = self.run("up", **environment)
        with gate.open("w") as go:  # opens when the compiler, which holds the lock, waits at it
            gate.unlink()
            yield said
            go.write("go\n")
        with (self.venv / "native.flock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)

    def ran(self) -> list[str]:
        """The command lines that Python was given since the last question, in the order of the alphabet."""
        return sorted(line.rpartition(": ")[2] for line in self.clone.asked() if "-m cli " in line)


@pytest.fixture
def up_clone(clone: Clone) -> UpClone:
    made = UpClone(clone)
    made.run("doctor")
    clone.asked()
    return made


BACKGROUND = "the flow's machine is being compiled in the background, for the next start"


def test_up_compiles_in_the_background_and_the_next_start_runs_what_came_of_it(up_clone: UpClone) -> None:
    source, native = up_clone.clone.root, up_clone.venv / "native"
    with up_clone.compiling() as (told,):
        assert BACKGROUND in told
        asked = [line for line in up_clone.clone.asked() if "-m cli " in line]
        assert [line.partition(": ")[0] for line in asked] == [f"cli of {source} and nothing before it"] * 2
        assert sorted(line.rpartition(": ")[2] for line in asked) == [f"-m cli compile {native}", "-m cli up"]
        assert not (native / ".stamp").exists()
    assert up_clone.run("up") == []
    assert where(up_clone.clone) == f"cli of {native} and nothing before it"


def test_two_starts_at_once_compile_once(up_clone: UpClone) -> None:
    with up_clone.compiling():
        second = up_clone.clone.start("compile", PATH=up_clone.path, SEGMA_COMPILE_ONCE="yes")
        assert second.stderr is not None
        assert "waiting for another call, which is compiling the machine" in second.stderr.readline()
    second.communicate()
    assert second.returncode == 0
    assert up_clone.ran() == [f"-m cli compile {up_clone.venv}/native", "-m cli up"]


def test_what_could_not_be_compiled_is_tried_again_when_the_source_has_changed(up_clone: UpClone) -> None:
    with up_clone.compiling(COMPILE_ENDS="1") as (told,):
        assert BACKGROUND in told
    up_clone.clone.asked()
    assert up_clone.run("up", COMPILE_ENDS="1") == []
    assert where(up_clone.clone) == f"cli of {up_clone.clone.root} and nothing before it"
    (up_clone.clone.root / "flows" / "code.py").write_text("ROOM = 'another'\n")
    with up_clone.compiling() as (told,):
        assert BACKGROUND in told
    assert up_clone.ran() == [f"-m cli compile {up_clone.venv}/native", "-m cli up"]


def test_without_a_compiler_up_starts_in_silence_and_runs_the_source(up_clone: UpClone) -> None:
    up_clone.compiler.unlink()
    assert up_clone.run("up") == []
    assert where(up_clone.clone) == f"cli of {up_clone.clone.root} and nothing before it"
