"""Kafka's jars without Maven: `python3 jars.py INTO` fetches what jars.txt names; `--check INTO` looks at those there.

Each must have its SHA-256. SEGMA_MAVEN_REPOSITORY names another repository than Maven Central.
"""

from __future__ import annotations

import hashlib
import os
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

CENTRAL = "https://repo.maven.apache.org/maven2"
PATIENCE_S = 60
TRIES = 3
AT_ONCE = 8


def wanted() -> dict[str, str]:
    """Path in the repository → SHA-256."""
    lines = Path(__file__).with_name("jars.txt").read_text(encoding="utf-8").splitlines()
    return {path: digest for digest, path in (line.split() for line in lines if not line.startswith("#"))}


def check(content: bytes, path: str, digest: str) -> None:
    """Raises ValueError where this is another file."""
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError(f"{path} is not the file that jars.txt names")


def fetch(path: str, digest: str, into: Path) -> None:
    """One jar. Raises OSError where it cannot be had, ValueError where it is another file."""
    url = f"{os.environ.get('SEGMA_MAVEN_REPOSITORY', CENTRAL).rstrip('/')}/{path}"
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
    into = Path(words[-1])
    try:
        if words[0] == "--check":
            for path, digest in wanted().items():
                check((into / Path(path).name).read_bytes(), path, digest)
            return
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda each: fetch(each[0], each[1], into), wanted().items()))
    except (OSError, ValueError) as error:
        sys.exit(f"kafka: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
