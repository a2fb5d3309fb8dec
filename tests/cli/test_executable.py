"""``./segma``: finds a fitting Python, makes ready what has changed, one call at a time; cheap where nothing has."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SETUP = ROOT / "infra" / "setup"
NO_UV = "3.7"
"""Of a Python too old to get uv by: nothing is fetched."""


def python_of(directory: Path, name: str, version: str) -> None:
    """A stand-in that answers the executable's questions as a Python of this version would."""
    fits = version in {"3.11", "3.12"}
    gets_uv = version not in {NO_UV}
    path = directory / name
    path.write_text(
        "#!/bin/sh\n"
        f'case "$1$2" in --version) echo "Python {version}.0"; exit 0;;\n'
        f' *"(3, 8)"*) exit {0 if gets_uv else 1};; -c*"sys.exit"*) exit {0 if fits else 1};; -c*) exit 0;; esac\n'
        f'echo "{name} {version} $*" >> "{directory}/asked"\n'
        "exit 7\n"
    )
    path.chmod(0o755)


def run(tmp_path: Path, *, others: str = NO_UV, **environment: str) -> subprocess.CompletedProcess[str]:
    path = f"{tmp_path}:/usr/bin:/bin"
    for tool in ("python3", "python3.11", "python3.12"):
        # What this machine has must not be found: a stand-in that does not fit takes its place.
        if not (tmp_path / tool).exists():
            python_of(tmp_path, tool, others)
    return subprocess.run(
        ["/bin/sh", str(ROOT / "segma"), "doctor"],
        env={
            "PATH": path,
            "HOME": str(tmp_path),
            "PYENV_ROOT": str(tmp_path / "pyenv"),
            "SEGMA_VENV": str(tmp_path / "venv"),
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("release", "advice"),
    [
        ("ID=debian\nVERSION_ID=12\n", "install it (sudo apt install python3 python3-venv)"),
        ("ID=debian\nVERSION_ID=13\n", "this Debian has no package of it, so install it by pyenv (pyenv install 3.12)"),
        ("ID=ubuntu\nID_LIKE=debian\nVERSION_ID=24.04\n", "install it (sudo apt install python3.12 python3.12-venv)"),
        ("ID=fedora\nVERSION_ID=43\n", "install it (sudo dnf install python3.12)"),
        ("ID=else\n", "install it by the package manager of this system, or by pyenv (pyenv install 3.12)"),
    ],
)
def test_no_fitting_python_is_told_in_one_sentence_with_what_to_type(tmp_path: Path, release: str, advice: str) -> None:
    (tmp_path / "os-release").write_text(release)
    done = run(tmp_path, SEGMA_OS_RELEASE=str(tmp_path / "os-release"))
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"segma: needs Python 3.11 or 3.12 with venv (found: Python 3.7.0); {advice}, or set SEGMA_PYTHON."
    ]


def test_where_uv_cannot_get_one_it_says_so(tmp_path: Path) -> None:
    # The stand-in makes no virtual environment, so there is no uv.
    clone = copied(tmp_path)
    for name in ("python3", "python3.11", "python3.12"):
        python_of(tmp_path, name, "3.13")
    done = subprocess.run(
        [str(clone / "segma"), "doctor"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    first, last = done.stderr.splitlines()
    assert first.startswith("segma: Python 3.13.0 does not fit (Bytewax has wheels for 3.11 and 3.12): getting Python")
    assert last.startswith("segma: needs Python 3.11 or 3.12 with venv (found: Python 3.13.0; uv could not get one); ")
    assert "python3 -m venv" not in done.stderr
    assert f"python3 3.13 -m venv {clone}/.segma/uv" in (tmp_path / "asked").read_text()


@pytest.mark.parametrize("name", ["python3", "python3.11", "python3.12"])
def test_a_fitting_python_is_used_where_python3_is_not(tmp_path: Path, name: str) -> None:
    python_of(tmp_path, name, "3.12" if name != "python3.11" else "3.11")
    run(tmp_path)
    assert (tmp_path / "asked").read_text().startswith(f"{name} ")


def test_pyenvs_python_is_found(tmp_path: Path) -> None:
    directory = tmp_path / "pyenv" / "versions" / "3.12.9" / "bin"
    directory.mkdir(parents=True)
    python_of(directory, "python", "3.12")
    run(tmp_path)
    assert (directory / "asked").read_text().startswith("python 3.12 -m venv")


def test_a_wrong_choice_is_told(tmp_path: Path) -> None:
    python_of(tmp_path, "mine", "3.9")
    done = run(tmp_path, SEGMA_PYTHON=str(tmp_path / "mine"))
    assert done.returncode == 2
    assert "SEGMA_PYTHON is not a Python 3.11 or 3.12" in done.stderr


def test_the_executable_is_one() -> None:
    assert os.access(ROOT / "segma", os.X_OK)


# --- What is fresh, and who waits for whom: on a copy whose virtual environment only says what it was asked.


def copied(tmp_path: Path) -> Path:
    """The script and what it is made ready from, without the code."""
    clone = tmp_path / "clone"
    shutil.copytree(SETUP, clone / "infra" / "setup")
    for name in ("segma", "requirements.txt", "requirements-dev.txt", "requirements-drive.txt"):
        shutil.copy2(ROOT / name, clone / name)
    for room in ("analytics", "cli", "collector", "console", "contracts", "flows", "sinks", "transport"):
        (clone / room).mkdir()
        (clone / room / "code.py").write_text(f"ROOM = '{room}'\n")
    return clone


UV = """#!/bin/sh
echo "uv $*" >>"$ASKED"
[ ! -e "$ASKED.hold" ] || { : >"$ASKED.holds"; read -r _ <"$ASKED.hold"; }
exit "${UV_ENDS:-0}"
"""
PYTHON = """#!/bin/sh
case "$1" in
--version) echo "Python 3.11.0" ;;
-c) case "$2" in *pip-*) echo ;; esac ;;
-m) echo "$2 of $PYTHONPATH${PYTHONSAFEPATH:+ and nothing before it}: $*" >>"$ASKED"
    case "$2 $3" in "cli compile")
        [ ! -e "$ASKED.compiles" ] || read -r _ <"$ASKED.compiles"
        [ "${COMPILE_ENDS:-0}" = 0 ] || exit "$COMPILE_ENDS"
        mkdir -p "$4" ;;
    esac ;;
esac
"""


class Clone:
    """A copy of the script; Python and uv in its virtual environment are stand-ins that write down their arguments."""

    def __init__(self, root: Path) -> None:
        self.root, self.asked_file = root, root / "asked"
        binaries = root / ".venv" / "bin"
        binaries.mkdir(parents=True)
        for name, text in (("uv", UV), ("python", PYTHON)):
            (binaries / name).write_text(text)
            (binaries / name).chmod(0o755)

    def start(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        """``./segma WORDS``, begun."""
        return subprocess.Popen(
            [str(self.root / "segma"), *words],
            env={"PATH": "/usr/bin:/bin", "ASKED": str(self.asked_file), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *words: str, **environment: str) -> list[str]:
        """``./segma WORDS``: what it said; it must end well."""
        process = self.start(*words, **environment)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
        return said.splitlines()

    def asked(self) -> list[str]:
        """What Python and uv were asked since the last question, the look at pip's settings left out."""
        lines = self.asked_file.read_text().splitlines() if self.asked_file.exists() else []
        self.asked_file.unlink(missing_ok=True)
        return [line for line in lines if "pip config list" not in line]


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

BUILD = ("build.mjs", "arrows.mjs", "names.mjs", "natives.mjs", "parts.mjs")
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


def test_every_requirement_is_pinned_by_hash() -> None:
    files = [*ROOT.glob("requirements*.txt"), *SETUP.glob("*.txt")]
    assert len(files) >= 7
    for path in files:
        text = path.read_text()
        assert "--generate-hashes" in text.splitlines()[1], path
        for block in re.split(r"\n(?=\w)", text)[1:]:
            assert "==" in block, path
            assert "--hash=sha256:" in block, (path, block)


@pytest.mark.parametrize("script", ["segma", "infra/setup/first-use.sh", "infra/kafka/kafka"])
def test_the_scripts_are_plain_posix_shell(script: str) -> None:
    checked = subprocess.run(
        [Path(sys.executable).with_name("shellcheck"), "-x", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
