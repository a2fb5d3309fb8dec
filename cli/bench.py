"""``segma bench``: the project's measurements, one a file in ``bench/``."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import click
from rich.table import Table

from cli.needs import lacking
from cli.output import Exit, err, fail, out


def benches(root: Path) -> dict[str, str]:
    """Name → the first sentence of what it measures, of the files that can be run."""
    found = {}
    for path in sorted((root / "bench").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        if '__name__ == "__main__"' in text:
            found[path.stem] = (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
    return found


def needs_of(path: Path) -> frozenset[str]:
    """What a measurement needs of the machine: its ``NEEDS``, words of :mod:`cli.needs`."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "NEEDS" and node.value is not None:
            return frozenset(ast.literal_eval(node.value))
    return frozenset()


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("name", required=False)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def bench_command(name: str | None, words: tuple[str, ...]) -> None:
    """Run the measurement NAME with its own options; without a name, say which there are. Needs a checkout."""
    root = Path(os.environ.get("SEGMA_ROOT", ".")).resolve()
    known = benches(root) if (root / "bench").is_dir() else {}
    if not known:
        fail("the measurements are in the project's checkout, not in an installed package; clone it", Exit.USAGE)
    if name in {None, "-h", "--help"}:
        table = Table("segma bench …", "what it measures", box=None, pad_edge=False)
        for each, sentence in known.items():
            table.add_row(each, sentence)
        out.print(table)
        return
    if name not in known:
        fail(f"no measurement `{name}`; known: {', '.join(known)}", Exit.USAGE)
    missing = [] if {"-h", "--help"} & {*words} else lacking(needs_of(root / "bench" / f"{name}.py"))
    for need in missing:
        err.print(f"segma: no {need.name} here: {need.command}", markup=False)
    if missing:
        sys.exit(Exit.UNAVAILABLE)
    # The code that runs here: the compiled machine where there is one, as everywhere else.
    paths = os.pathsep.join([str(Path(__file__).resolve().parents[1]), str(root)])
    ended = subprocess.run(
        [sys.executable, "-m", f"bench.{name}", *words], cwd=root, env={**os.environ, "PYTHONPATH": paths}, check=False
    )
    sys.exit(ended.returncode)
