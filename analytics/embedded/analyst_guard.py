"""What an analyst may ask of the embedded ClickHouse.

The engine's ``readonly = 1`` refuses every write, every change of settings and every table function that reaches files
or the network. Four things pass it in chDB and are refused here: the scalar function ``file()``, which reads any file
that the process can read; the table function ``python()``; ``INTO OUTFILE``; and statements that are no questions
(``KILL``, ``SET``, ``USE``). What is looked at is never the text that came but the statement as ClickHouse's own parser
writes it (:class:`~analytics.embedded.engine.Statement`), so comments, case and quoting hide nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from analytics.embedded.engine import EngineError, Statement, engine_error

QUESTIONS: Final = ("SELECT ", "WITH ", "(", "SHOW ", "DESCRIBE ", "EXISTS ", "EXPLAIN ")
FORBIDDEN: Final = frozenset({"file", "python"})
HELD_SETTINGS: Final = frozenset(
    {"readonly", "max_memory_usage", "max_memory_usage_for_user", "max_execution_time", "max_threads", "allow_ddl"}
)
"""Settings that an analyst's request cannot change."""

_LITERAL = re.compile(r"'(?:[^'\\]|\\.)*'", re.DOTALL)
_WORD = re.compile(r"\w+")


def check_question(statement: Statement, params: Mapping[str, str]) -> None:
    """Raise :class:`EngineError` where an analyst may not ask this."""
    if not statement.canonical.startswith(QUESTIONS):
        word = statement.canonical.partition(" ")[0]
        raise engine_error(164, f"analyst: Cannot execute {word} in readonly mode.", "READONLY")
    bare = _LITERAL.sub("''", statement.canonical)
    if " INTO OUTFILE ''" in bare:
        raise _denied("INTO OUTFILE")
    words = {word.lower() for word in _WORD.findall(bare)}
    if "identifier" in words:
        # NOTE: `arrayMap({f:Identifier}, …)` names a function by a parameter.
        words |= {word.lower() for value in params.values() for word in _WORD.findall(value)}
    if found := words & FORBIDDEN:
        raise _denied(f"the name `{min(found)}` outside a string")


def check_setting(name: str) -> None:
    """Raise :class:`EngineError` where an analyst's request would lift a limit."""
    if name in HELD_SETTINGS:
        raise engine_error(452, f"Setting {name} should not be changed by an analyst", "SETTING_CONSTRAINT_VIOLATION")


def _denied(what: str) -> EngineError:
    return engine_error(497, f"analyst: Not enough privileges for {what}.", "ACCESS_DENIED")
