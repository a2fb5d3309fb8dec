"""Python's clients against the embedded ClickHouse, a cell of the table at a time. Run by :mod:`tests.clients.table`,
in an environment of its own: ``python cells.py CLIENT``. Prints one line of JSON a cell.

Each client is a class whose methods are the cells; a method that is not there is nothing that the client has.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Final

from library_cells import Arrow, Connect, Connectorx, DbApi, Ibis, Pandas, SqlAlchemy
from program_cells import Curl, Dbt

CELLS: Final = ("connect", "metadata", "types", "parameters", "insert", "stream", "cancel", "mid_stream")
CLIENTS: Final[dict[str, Callable[[str], object]]] = {
    "clickhouse-connect": Connect,
    "pandas": Pandas,
    "arrow": Arrow,
    "dbapi": DbApi,
    "sqlalchemy": SqlAlchemy,
    "ibis": Ibis,
    "connectorx": Connectorx,
    "dbt": Dbt,
    "curl": Curl,
}


def main() -> None:
    """Run the cells of one client, as the owner and as the analyst."""
    for user in ("segma", "analyst"):
        try:
            client, fault = CLIENTS[sys.argv[1]](user), ""
        except Exception as error:
            client, fault = None, f"{type(error).__name__}: {error}"
        for cell in CELLS:
            step = getattr(client, cell, None)
            if client is not None and step is None:
                continue
            try:
                if step is not None:
                    step()
                said = fault
            except Exception as error:
                said = f"{type(error).__name__}: {error}"
            print(json.dumps({"cell": cell, "user": user, "said": said[:500]}), flush=True)


if __name__ == "__main__":
    main()
