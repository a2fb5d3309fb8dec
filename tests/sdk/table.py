"""The table of ``docs/sdk.md``: which row of the table of actions runs in which engine, and why not elsewhere.

``python -m tests.sdk.table`` writes it anew; a test holds that it is fresh.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.sdk.engines.each import MARKERS
from tests.sdk.test_capture import ROWS, Row

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "sdk.md"
BEGIN: Final = "<!-- made by `python -m tests.sdk.table` -->\n"
END: Final = "<!-- end of what is made -->\n"
NAMES: Final = " | ".join(each.capitalize() for each in MARKERS)
HEAD: Final = f"| action | what is done | {NAMES} |\n|---|---|---|---|---|\n"


def written() -> str:
    """The table: a line for each row, then why some do not run somewhere."""
    reasons = sorted({why for row in ROWS for why in row.left_out.values()})
    lines = [_line(row, reasons) for row in ROWS]
    notes = [f"{number}. {why[0].upper()}{why[1:]}." for number, why in enumerate(reasons, 1)]
    return HEAD + "\n".join(lines) + "\n\n" + "\n".join(notes) + "\n"


def _line(row: Row, reasons: list[str]) -> str:
    actions = " ".join(dict.fromkeys(f"`{action}`" for action, _ in row.events)) or "none"
    held = (f"not run ({reasons.index(row.left_out[each]) + 1})" if each in row.left_out else "✓" for each in MARKERS)
    return f"| {actions} | {row.name} | " + " | ".join(held) + " |"


def fresh(page: str) -> str:
    """The page with the table of today."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{written()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(fresh(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
