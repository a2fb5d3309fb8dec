"""Jars without Maven: `python3 jars.py INTO` fetches what jars.txt names; `--check INTO` looks at those there. It is
Kafka's jars.txt, or that of `--list FILE`.

Each must have its SHA-256. They come from Maven Central, or from where SEGMA_MAVEN_REPOSITORY says.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tempfile
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

RESOLVER = "jgo==3.2.0"
"""A resolver of Java's packages, from PyPI: it knows where Maven Central is."""
PATIENCE_S = 60
TRIES = 3
AT_ONCE = 8


def wanted(listed: Path) -> dict[str, str]:
    """Path in the repository → SHA-256."""
    lines = listed.read_text(encoding="utf-8").splitlines()
    return {path: digest for digest, path in (line.split() for line in lines if not line.startswith("#"))}


def check(content: bytes, path: str, digest: str) -> None:
    """Raises ValueError where this is another file."""
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError(f"{path} is not the file that jars.txt names")


def repository() -> str:
    """Where the jars come from. Raises OSError where the resolver that knows Maven Central cannot be had."""
    if named := os.environ.get("SEGMA_MAVEN_REPOSITORY"):
        return named.rstrip("/")
    with tempfile.TemporaryDirectory(prefix="segma-kafka-") as folder:
        install = [f"{folder}/bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps"]
        for command in ([sys.executable, "-m", "venv", folder], [*install, RESOLVER]):
            if subprocess.run(command, check=False).returncode:
                raise OSError(
                    f"{RESOLVER} could not be installed; SEGMA_MAVEN_REPOSITORY names a repository without it"
                )
        (constants,) = Path(folder).glob("lib/python3*/site-packages/jgo/constants.py")
        found = re.search(r'^MAVEN_CENTRAL_URL = "(.+)"', constants.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise ValueError(f"{RESOLVER} does not say where Maven Central is")
    return found[1]


def fetch(path: str, digest: str, into: Path, *, root: str) -> None:
    """One jar of a repository. Raises OSError where it cannot be had, ValueError where it is another file."""
    url = f"{root}/{path}"
    for left in reversed(range(TRIES)):
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:  # noqa: S310 - what came is checked
                content: bytes = answer.read()
            break
        except OSError:
            if not left:
                raise
    check(content, path, digest)
    (into / Path(path).name).write_bytes(content)


def main(words: list[str]) -> None:
    """Fetch or check; ends with a sentence where something is wrong."""
    into, listed = Path(words[-1]), Path(__file__).with_name("jars.txt")
    if words[0] == "--list":
        _, named, *words = words
        listed = Path(named)
    try:
        if words[0] == "--check":
            for path, digest in wanted(listed).items():
                check((into / Path(path).name).read_bytes(), path, digest)
            return
        root = repository()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda each: fetch(each[0], each[1], into, root=root), wanted(listed).items()))
    except (OSError, ValueError) as error:
        sys.exit(f"jars: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
