"""What the engine's one user may do, as ClickHouse's own access control: no file, no address, no other source.

chDB reads it at its start (``config-file``). It holds for the owner's sessions too: nobody brings data in from outside
but through an insert.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

GRANTED: Final = (
    *("SHOW", "SELECT", "INSERT", "ALTER", "CREATE DATABASE", "CREATE TABLE", "CREATE VIEW"),
    *("CREATE ARBITRARY TEMPORARY TABLE", "DROP", "UNDROP TABLE", "TRUNCATE", "OPTIMIZE", "CHECK", "KILL QUERY"),
    *("SYSTEM MERGES", "SYSTEM TTL MERGES", "SYSTEM FLUSH", "SHOW ROW POLICIES"),
)
ENGINES: Final = (
    *("MergeTree", "ReplacingMergeTree", "SummingMergeTree", "AggregatingMergeTree", "CollapsingMergeTree"),
    *("VersionedCollapsingMergeTree", "CoalescingMergeTree", "GraphiteMergeTree", "Memory", "Null", "Log", "TinyLog"),
    *("StripeLog", "View", "MaterializedView", "Set", "Join", "Buffer", "Merge", "GenerateRandom"),
)

_CONFIG = "<clickhouse><user_directories><users_xml><path>{users}</path></users_xml></user_directories></clickhouse>\n"
_USERS = """<clickhouse>
  <profiles><default/></profiles>
  <quotas><default/></quotas>
  <users><default>
    <password/><profile>default</profile><quota>default</quota><networks><ip>::/0</ip></networks>
    <grants>{grants}</grants>
  </default></users>
</clickhouse>
"""


def write_grants(folder: Path) -> Path:
    """Write the engine's configuration into ``folder``; return the file that names it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    queries = [f"GRANT {', '.join(GRANTED)} ON *.*", *(f"GRANT TABLE ENGINE ON {engine}" for engine in ENGINES)]
    users, config = folder / "users.xml", folder / "config.xml"
    users.write_text(_USERS.format(grants="".join(f"<query>{query}</query>" for query in queries)), "utf-8")
    config.write_text(_CONFIG.format(users=users.resolve()), "utf-8")
    return config.resolve()
