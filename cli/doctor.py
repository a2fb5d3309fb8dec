"""``segma doctor``: what this machine has, what runs, and what is wrong."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import click
from rich.table import Table
from rich.text import Text

from cli.accounts import state_word
from cli.browser import HOW_TO_GET_A_BROWSER, find_browser
from cli.doors import door_warnings
from cli.history_findings import history_findings, loading_findings
from cli.output import Exit, out, print_json
from cli.paused_listeners import paused_listeners
from cli.supervise import running
from cli.up import home_option, json_option, sdk_bundle
from cli.without_command import matches_without_command
from contracts.account_states import read_states
from contracts.accounts import AccountState
from contracts.errors import ConfigError, LogError, SegmaError
from contracts.plurals import counted
from contracts.topics import ACCOUNTS, BEACONS, DEAD_LETTERS, EVENTS, LISTENERS, ROWS
from flows.language.files import load_listeners
from flows.operators.lag import log_times
from transport import open_log
from transport.config import load_installation, load_keyring, settings_at, wall_clock_ms

MAX_LAG_S: Final = 15.0
"""Above what a start, a snapshot or a pause of the machine makes."""
LEAST_NODE: Final = 22
MAX_AHEAD_S: Final = 2.0
"""Above what two clocks that are kept by NTP differ by."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check. ``ok`` None: not needed now, printed for information."""

    subject: str
    ok: bool | None
    found: str
    remedy: str = ""


def machine() -> list[CheckResult]:
    """Python, Node, a browser, the SDK, disk."""
    fits = (3, 11) <= sys.version_info[:2] <= (3, 12)
    browser = find_browser()
    bundle = sdk_bundle()
    free_gb = shutil.disk_usage(".").free / 1e9
    return [
        CheckResult("Python", fits, platform.python_version(), "use 3.11 or 3.12: Bytewax has wheels for no newer one"),
        CheckResult("Node", *_node(), remedy=f"`./segma up` gets {LEAST_NODE} or newer, which builds the SDK"),
        CheckResult(
            "browser", browser is not None or None, browser or "none (`demo --drive` gets one)", HOW_TO_GET_A_BROWSER
        ),
        CheckResult("browser SDK", bundle.is_file(), str(bundle), "`./segma up` builds it"),
        CheckResult("disk", free_gb > 1, f"{free_gb:.1f} GB free", "the log keeps 30 days: make room"),
    ]


def _node() -> tuple[bool, str]:
    path = shutil.which("node")
    if path is None:
        return False, "none"
    answer = subprocess.run([path, "--version"], capture_output=True, text=True, check=False, timeout=10)
    major = answer.stdout.strip().removeprefix("v").partition(".")[0]
    return major.isdigit() and int(major) >= LEAST_NODE, answer.stdout.strip()


def installation(home: Path) -> list[CheckResult]:
    """The settings, the secrets, the listeners, and what runs."""
    config = home / "segma.yaml"
    if not config.exists():
        return [CheckResult("segma.yaml", None, f"none in {home}", "`segma init` writes one")]
    findings = [_looked("segma.yaml", lambda: counted(len(load_installation(config).workspaces), "workspace"))]
    if findings[0].ok:
        loaded = load_installation(config)
        findings.append(_looked("token keys", lambda: (load_keyring(loaded, beside=config), "readable")[1]))
        for name, workspace in loaded.workspaces.items():
            check = partial(_checked_listeners, home / workspace.listeners, home / workspace.actions)
            findings.append(_looked(f"listeners of {name}", check))
    supervised = running(home)
    findings += spool_findings(home / "data" / "spool")
    if findings[0].ok:
        findings += log_findings(home, running=supervised is not None)
        findings += [CheckResult(*each) for each in history_findings(home, running=supervised is not None)]
    for state in supervised.states() if supervised else []:
        findings.append(
            CheckResult(
                state.name, state.state == "running", f"{state.state}, pid {state.pid}, {state.for_s} s", state.log
            )
        )
    if supervised is None:
        findings.append(CheckResult("processes", None, "nothing runs here", "`segma up`"))
    return findings


def spool_findings(spool: Path) -> list[CheckResult]:
    """Return findings about records that the log refused for good, in the folder of the collector's spools."""
    kept = sum(each.stat().st_size for each in spool.glob("*.aside")) if spool.is_dir() else 0
    remedy = (
        "`record_set_aside` in the collector's log says why; mend it, then start the collector again: it tries them"
    )
    return [CheckResult("set aside", False, f"{counted(kept, 'byte')} that the log refused", remedy)] if kept else []


def log_findings(home: Path, *, running: bool) -> list[CheckResult]:
    """The log, and how far its time is behind the clock: deadlines fire that much later."""
    try:
        settings = settings_at(home)
        if settings.log == "embedded" and not (settings.data / "log").is_dir():
            return [CheckResult("log", None, "embedded, nothing in it yet")]
        log = open_log(settings)
    except ConfigError as error:
        return [CheckResult("log", False, counted(len(error.problems), "problem"), str(error))]
    try:
        names = {topic.name for topic in log.topics()}
        times = log_times(log) if EVENTS in names else {}
        states = read_states(log) if ACCOUNTS in names else {}
        warnings = door_warnings(log) if {BEACONS, DEAD_LETTERS} <= names else []
        notes = paused_listeners(log, wall_clock_ms()) if LISTENERS in names else []
        notes += matches_without_command(log) if ROWS in names else []
        loading = list(loading_findings(home, log, wall_clock_ms())) if {ROWS, DEAD_LETTERS} <= names else []
    except LogError as error:
        # A broker of the home's own runs only while the home does; every other log is there at any time.
        stands_still = not running and settings.log == "kafka" and (settings.data / "kafka").is_dir()
        return [CheckResult("log", None if stands_still else False, f"{settings.log}, not reachable", str(error))]
    finally:
        log.close()
    found = [CheckResult("log", True, f"{settings.log}, {counted(len(names), 'topic')}")]
    if times:
        found.append(time_finding(times, wall_clock_ms(), running=running))
    found += [CheckResult(subject, False, what, remedy) for subject, what, remedy in warnings]
    found += [CheckResult(subject, None, what, remedy) for subject, what, remedy in notes]
    return found + account_findings(states) + [CheckResult(*each) for each in loading]


def time_finding(times: Mapping[int, int], now_ms: int, *, running: bool) -> CheckResult:
    """Compare the log's time (partition of beacons → ms) with this machine's clock, either way."""
    lag_s, ahead_s = (now_ms - min(times.values())) / 1_000, (max(times.values()) - now_ms) / 1_000
    if ahead_s > MAX_AHEAD_S:
        furthest = max(times, key=lambda source: times[source])
        remedy = f"the clock of a broker (of partition {furthest} of beacons) or of this machine is wrong: look at NTP"
        return CheckResult("log time", False, f"{ahead_s:.1f} s ahead of this machine's clock", remedy)
    slowest = min(times, key=lambda source: times[source])
    remedy = f"partition {slowest} of beacons is read slowly or by nobody: look at the flow's log"
    return CheckResult("log time", lag_s < MAX_LAG_S if running else None, f"{max(lag_s, 0.0):.1f} s behind", remedy)


def account_findings(states: Mapping[tuple[str, str], AccountState]) -> list[CheckResult]:
    """The accounts in alert: stopped, or away for long."""
    found = []
    for (workspace, name), state in sorted(states.items()):
        account, why = f"{workspace}/{name}", f"{state.reason} {state.detail}".strip()
        remedy = "the platform is tried again by itself; nothing is lost: look at its status page"
        if state.stopped:
            remedy = f"mend the cause, then `segma accounts resume {account}`; its commands wait"
        if state.stopped or state.reason:
            found.append(CheckResult(f"account {account}", False, f"{state_word(state)}: {why}", remedy))
    return found


def _checked_listeners(directory: Path, actions: Path) -> str:
    return f"{len(load_listeners(directory, actions))} checked"


def _looked(subject: str, look: Callable[[], str]) -> CheckResult:
    try:
        return CheckResult(subject, True, look())
    except ConfigError as error:
        return CheckResult(subject, False, counted(len(error.problems), "problem"), str(error))
    except SegmaError as error:
        return CheckResult(subject, False, type(error).__name__, str(error))


@click.command()
@home_option
@json_option
def doctor_command(home: Path, as_json: bool) -> None:
    """Look at this machine and this home; exit 1 where something is wrong."""
    findings = machine() + installation(home)
    if as_json:
        print_json(findings)
    else:
        table = Table("", "what", "found", "what to do", box=None, pad_edge=False)
        for finding in findings:
            mark = {True: Text("✓", "green"), False: Text("✗", "red"), None: Text("·", "dim")}[finding.ok]
            table.add_row(mark, finding.subject, finding.found, "" if finding.ok else finding.remedy)
        out.print(table)
    sys.exit(Exit.PROBLEMS if any(finding.ok is False for finding in findings) else Exit.OK)
