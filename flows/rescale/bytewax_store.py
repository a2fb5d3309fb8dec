"""The recovery store of Bytewax as it lies on the disk: what a resume would find in it, and a new one.

NOTE: Bytewax documents neither. The schema is that of 0.21 (``user_version`` 5); any other is refused. Each process is
one worker, so its frontier is that of the newest execution.
"""

from __future__ import annotations

import io
import pickle
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from bytewax.recovery import init_db_dir

from flows.operators.former_names import FORMER
from flows.operators.source import Position
from flows.operators.watermark import Clock
from flows.state.changelog import StateDamaged

FILE: Final = "part-0.sqlite3"
SCHEMA: Final = 5
STEPS: Final = frozenset({"segma.log", "segma.recognise", "segma.follow", "segma.recognised", "segma.followed"})
_CLASSES: Final = {
    (module, each.__name__): each for each in (Position, Clock) for module in (each.__module__, *sorted(FORMER))
}
_RESUMED: Final = """
WITH newest AS (SELECT ex_num, resume_epoch FROM exs WHERE ex_num = (SELECT MAX(ex_num) FROM exs)),
frontier AS (SELECT MAX(resume_epoch, COALESCE((SELECT MAX(worker_frontier) FROM fronts JOIN newest USING (ex_num)), 0))
             AS epoch FROM newest),
kept AS (SELECT step_id, state_key, MAX(snap_epoch) AS snap_epoch FROM snaps
         WHERE snap_epoch < (SELECT epoch FROM frontier) GROUP BY step_id, state_key)
SELECT step_id, state_key, ser_change FROM snaps JOIN kept USING (step_id, state_key, snap_epoch)
WHERE ser_change IS NOT NULL ORDER BY step_id, state_key
"""


class _StateUnpickler(pickle.Unpickler):
    """Reads states, and makes nothing but what the flow's own steps keep."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """A class of positions, under its name of today or of then."""
        try:
            return _CLASSES[module_name, global_name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module_name}.{global_name}") from None


def resumed(store: Path) -> Iterator[tuple[str, str, Any]]:
    """Step, key and state of everything that a resume would find; nothing where no flow ever ran.

    Raises :class:`StateDamaged` for what another Bytewax, or another dataflow, has written.
    """
    path = store / FILE
    if not path.exists():
        return
    try:
        with closing(sqlite3.connect(path)) as database:
            (schema,) = database.execute("PRAGMA user_version").fetchone()
            if schema != SCHEMA:
                raise StateDamaged(f"{path} was written by another release of Bytewax (schema {schema}, not {SCHEMA})")
            for step, key, state in database.execute(_RESUMED):
                if step not in STEPS:
                    raise StateDamaged(f"{path} holds the state of a step that this release does not have: {step}")
                yield step, key, _StateUnpickler(io.BytesIO(state)).load()
    except (sqlite3.Error, pickle.UnpicklingError) as error:
        raise StateDamaged(f"{path} cannot be read: {error}") from error


def write(store: Path, states: Iterable[tuple[str, str, bytes]]) -> None:
    """Make a recovery store from which a flow resumes with these states, on the disk when this returns."""
    init_db_dir(store, 1)  # type: ignore[no-untyped-call]
    with closing(sqlite3.connect(store / FILE)) as database, database:
        database.execute("INSERT INTO exs (ex_num, worker_count, resume_epoch) VALUES (0, 1, 1)")
        database.execute("INSERT INTO fronts (ex_num, worker_index, worker_frontier) VALUES (0, 0, 2)")
        database.executemany(
            "INSERT INTO snaps (step_id, state_key, snap_epoch, ser_change) VALUES (?, ?, 1, ?)",
            ((step, key, pickle.dumps(state)) for step, key, state in states),
        )
