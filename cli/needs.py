"""The needs of the project's tests beside Python and Node: a line each, with how it is found and brought.

A test says by its markers what it needs. Where a need cannot be met its tests are left out, named at the start and at
the end, and CI fails.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from cli.browser import bring_browser, find_browser, system_browser
from cli.compile import HEADERS_PACKAGE, python_headers
from cli.java import bring_java, find_java
from cli.output import err
from cli.root import checkout


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that tests need. ``bring`` is called where ``find`` finds nothing, and may end the command."""

    name: str
    marker: str
    find: Callable[[], object]
    bring: Callable[[], object]
    command: str
    """What a person types where it could not be brought."""


def by_package(*packages: str) -> bool:
    """Install packages of this system where that may be done unasked (root, or ``sudo -n``); whether it was."""
    apt = shutil.which("apt-get")
    before = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if apt is None or (before and (shutil.which("sudo") is None or _run([*before, "true"]))):
        return False
    err.print(f"installing {', '.join(packages)} by the package manager …", markup=False)
    quiet = ["env", "DEBIAN_FRONTEND=noninteractive", apt]
    if _run([*before, *quiet, "update", "-qq"]):
        return False
    return not _run([*before, *quiet, "install", "-y", "-qq", "--no-install-recommends", *packages])


def _run(command: list[str], folder: Path | None = None) -> int:
    return subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=False).returncode


def found(*programs: str) -> str | None:
    """The first of these programs that is on the path."""
    return next((path for name in programs if (path := shutil.which(name))), None)


def packaged(name: str, marker: str, programs: Iterable[str], *packages: str) -> Need:
    """A need that a program on the path meets, and packages of the system bring."""
    bring = partial(by_package, *packages)
    return Need(name, marker, partial(found, *programs), bring, f"sudo apt install {' '.join(packages)}")


def _kafka_jars() -> bool:
    return any((checkout() / ".segma" / "kafka").glob("*/.complete"))


def _sympa() -> bool:
    return (checkout() / ".segma" / "sympa" / ".made-of").is_file()


def _mailman() -> bool:
    return (checkout() / ".segma" / "mailman" / ".made-of").is_file()


_JDBC: Final = ".segma/clients/jdbc-0.10.0"
_FETCH_JDBC: Final = ("tests/clients/java/fetch", _JDBC)


def _jdbc_jars() -> bool:
    return (checkout() / _JDBC / ".complete").is_file()


def _script(*words: str) -> int:
    return _run([str(checkout() / words[0]), *words[1:]], checkout())


NEEDS: Final = (
    packaged("a C compiler", "compiler", ("cc", "gcc", "clang"), "gcc", "libc6-dev"),
    Need(
        "Python's headers",
        "compiler",
        python_headers,
        partial(by_package, HEADERS_PACKAGE),
        f"sudo apt install {HEADERS_PACKAGE}",
    ),
    Need(
        "the system's Chromium",
        "system_browser",
        system_browser,
        partial(by_package, "chromium"),
        "sudo apt install chromium",
    ),
    packaged("Firefox", "firefox", ("firefox-esr", "firefox"), "firefox-esr"),
    *(
        packaged(name, "webkit", (program,), package)
        for name, program, package in (
            ("WebKitGTK's driver", "WebKitWebDriver", "webkit2gtk-driver"),
            ("Xvfb", "Xvfb", "xvfb"),
            ("xdotool", "xdotool", "xdotool"),
        )
    ),
    Need("a Chromium", "browser", find_browser, bring_browser, "sudo apt install chromium"),
    Need("Java", "broker", find_java, bring_java, "sudo apt install default-jre-headless"),
    Need(
        "Kafka's jars", "broker", _kafka_jars, partial(_script, "infra/kafka/kafka", "fetch"), "infra/kafka/kafka fetch"
    ),
    packaged("a Java compiler", "clients", ("javac",), "default-jdk-headless"),
    packaged("curl", "clients", ("curl",), "curl"),
    Need("ClickHouse's JDBC driver", "clients", _jdbc_jars, partial(_script, *_FETCH_JDBC), " ".join(_FETCH_JDBC)),
    Need("GNU Mailman", "mailman", _mailman, partial(_script, "infra/mailman/install.sh"), "infra/mailman/install.sh"),
    Need("Sympa", "sympa", _sympa, partial(_script, "infra/sympa/install.sh"), "infra/sympa/install.sh"),
)
"""In the order in which they are brought: npm's Chromium comes only where the system's could not be had."""


def unmet(markers: frozenset[str]) -> list[Need]:
    """Return the needs of tests with these markers that this machine does not meet."""
    return [need for need in NEEDS if need.marker in markers and not need.find()]


def lacking(markers: frozenset[str]) -> list[Need]:
    """Bring what tests with these markers need; what could not be brought."""
    for need in NEEDS:
        if need.marker in markers and not need.find():
            with contextlib.suppress(SystemExit):  # it said why; the tests that need it are left out
                need.bring()
    return unmet(markers)
