"""Makes all that a release is made of, and publishes nothing: ``python infra/release/make.py --into DIR``.

Each part has a folder of its own there: the chart and the SDK's package have one name. Needs what
`requirements-dev.txt` and `npm ci` in `js-sdk` install, and helm (``SEGMA_HELM`` names another than the path's); the
image needs docker.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = "infra/Dockerfile"
SUMS = "SHA256SUMS"
PATIENCE_S = 1_800


def run(*words: str | Path, cwd: Path = ROOT, reads: Path | None = None) -> str:
    """Run a program, which may read a file; what it printed. Raises :class:`subprocess.CalledProcessError`."""
    with (reads or Path(os.devnull)).open("rb") as given:
        done = subprocess.run(
            [str(word) for word in words],
            cwd=cwd,
            env={**os.environ, "SOURCE_DATE_EPOCH": commit_time()},
            stdin=given,
            stdout=subprocess.PIPE,
            text=True,
            timeout=PATIENCE_S,
            check=True,
        )
    return done.stdout


def commit_time() -> str:
    """When the commit was made, in seconds since the epoch; that of a checkout without git is 1980's first."""
    words = ["git", "log", "-1", "--format=%ct"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout.strip() or "315532800"


def wheel(into: Path) -> None:
    """The Python package."""
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", into)


def npm(into: Path) -> None:
    """The browser SDK's package, built anew."""
    run("npm", "run", "--silent", "build", cwd=ROOT / "js-sdk")
    run("npm", "pack", "--silent", "--pack-destination", into, cwd=ROOT / "js-sdk")


def chart(into: Path) -> None:
    """The Helm chart."""
    run(os.environ.get("SEGMA_HELM", "helm"), "package", ROOT / "infra" / "helm" / "segma", "-d", into)


def boms(into: Path) -> None:
    """What the Python package, the browser SDK and the console's editor take from others, as CycloneDX."""
    words = ["--output-reproducible", "--of", "JSON", "-o", str(into / "python.cdx.json")]
    run(sys.executable, "-m", "cyclonedx_py", "requirements", ROOT / "requirements.txt", *words)
    words = ["--sbom-format", "cyclonedx", "--package-lock-only", "--omit", "dev", "--sbom-type", "library"]
    for name, folder in (("sdk", ROOT / "js-sdk"), ("editor", ROOT / "console" / "editor")):
        (into / f"{name}.cdx.json").write_text(run("npm", "sbom", *words, cwd=folder), encoding="utf-8")


def manual(into: Path) -> None:
    """The manual's site, in one archive."""
    with tempfile.TemporaryDirectory() as folder:
        run(sys.executable, "-m", "sphinx", "-q", "-W", "-b", "html", ROOT / "docs", folder)
        with tarfile.open(into / "manual.tar.gz", "w:gz") as archive:
            archive.add(folder, "manual", filter=lambda each: None if ".doctrees" in each.name else each)


def number() -> str:
    """The release's number."""
    return run(sys.executable, "-m", "hatchling", "version").strip()


def context(into: Path) -> Path:
    """All that the image is built from, of the commit and no more, as `docker build -f infra/Dockerfile -` reads it."""
    copied = re.findall(r"(?m)^COPY (?!--from)(.+) \S+$", (ROOT / DOCKERFILE).read_text("utf-8"))
    wanted = sorted({DOCKERFILE, *(name for line in copied for name in line.split())})
    archive = into / f"segma-{number()}-context.tar.gz"
    run("git", "archive", "--format=tar.gz", "-o", archive, "HEAD", "--", *wanted)
    return archive


def image(into: Path) -> None:
    """The container's image, under the release's number alone; the file says its id."""
    if shutil.which("docker") is None:
        sys.stderr.write("no image: there is no docker here; it can be built from the context where there is one\n")
        return
    tag = f"segma:{number()}"
    with tempfile.TemporaryDirectory() as folder:
        run("docker", "build", "-f", DOCKERFILE, "-t", tag, "-", reads=context(Path(folder)))
    (into / "image.txt").write_text(run("docker", "image", "inspect", "-f", "{{.Id}}", tag), "ascii")


PARTS: dict[str, Callable[[Path], object]] = {
    "wheel": wheel,
    "npm": npm,
    "chart": chart,
    "boms": boms,
    "manual": manual,
    "context": context,
    "image": image,
}


def write_sums(into: Path) -> list[str]:
    """Write the checksum of each file, as ``sha256sum --check`` reads them; the lines."""
    files = sorted(path for path in into.rglob("*") if path.is_file() and path.name != SUMS)
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(into)}\n" for path in files]
    (into / SUMS).write_text("".join(lines), encoding="ascii")
    return lines


def main(words: Sequence[str]) -> int:
    """Make the parts that are asked for; exit status 1 where one cannot be made."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--into", type=Path, required=True, help="a folder that is empty or not there")
    parser.add_argument("--only", choices=PARTS, action="append", help="this part; may be given again (all)")
    asked = parser.parse_args(words)
    into: Path = asked.into.resolve()
    into.mkdir(parents=True, exist_ok=True)
    if any(into.iterdir()):
        parser.error(f"{into} is not empty")
    for name in asked.only or PARTS:
        try:
            (into / name).mkdir()
            PARTS[name](into / name)
        except (OSError, subprocess.SubprocessError) as error:
            sys.stderr.write(f"{name}: {error}\n")
            return 1
    sys.stdout.writelines(write_sums(into))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
