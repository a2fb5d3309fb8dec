"""What an analyst may ask of the embedded ClickHouse: everything that is on the lists here, and nothing else.

A statement is read by ClickHouse's own parser (:mod:`~analytics.embedded.cage.syntax`), and each node of its tree has
to be known: its kind, and by name every function, table function, table and format. Beyond these lists stand the
engine's ``readonly = 1``, the grants (:mod:`~analytics.embedded.cage.grants`) and the kernel
(:mod:`~analytics.embedded.cage.landlock`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from importlib import resources
from typing import Final

from analytics.embedded.cage.catalog import rows_told
from analytics.embedded.cage.settings import check_name
from analytics.embedded.cage.syntax import Node, check_names, literals_removed, nodes_of
from analytics.embedded.engine import Connection, EngineError, Statement, engine_error
from analytics.embedded.recent import MOST_LETTERS, Recent

STATEMENTS: Final = frozenset(
    {
        *("SelectWithUnionQuery", "DescribeQuery", "ShowTables", "ShowColumns", "ShowIndexes", "ShowFunctions"),
        *("ShowEngineQuery", "ShowCreateTableQuery", "ShowCreateViewQuery", "ShowCreateDatabaseQuery"),
        *("ExistsTableQuery", "ExistsViewQuery", "ExistsDatabaseQuery"),
    }
)
"""The roots of a tree; and ``Explain`` of the kinds below."""
EXPLAINED: Final = frozenset(
    {f"EXPLAIN{kind}" for kind in ("", " AST", " SYNTAX", " QUERY TREE", " PIPELINE", " PLAN")}
)
PARTS: Final = frozenset(
    {
        *("ExpressionList", "SelectQuery", "SelectIntersectExceptQuery", "SelectWithUnionQuery", "Subquery", "Set"),
        *("Identifier", "Literal", "Function", "Asterisk", "QualifiedAsterisk", "ColumnsTransformerList"),
        *("ColumnsExceptTransformer", "ColumnsReplaceTransformer", "ColumnsReplaceTransformer::Replacement"),
        *("ColumnsRegexpMatcher", "QualifiedColumnsRegexpMatcher", "ColumnsListMatcher", "ColumnsApplyTransformer"),
        *("QualifiedColumnsListMatcher", "TablesInSelectQuery", "TablesInSelectQueryElement", "TableExpression"),
        *("TableIdentifier", "TableJoin", "ArrayJoin", "WithElement", "WindowDefinition", "WindowListElement"),
        *("OrderByElement", "SampleRatio", "InterpolateElement", "Collation"),
    }
)
TABLE_FUNCTIONS: Final = frozenset({"numbers", "numbers_mt", "generate_series", "generateseries", "view", "null"})
SYSTEM_TABLES: Final = frozenset(
    {
        *("one", "numbers", "numbers_mt", "columns", "tables", "databases", "functions", "table_functions", "formats"),
        *("table_engines", "data_type_families", "settings", "merge_tree_settings", "build_options", "collations"),
        *("aggregate_function_combinators", "time_zones", "keywords", "completions", "contributors", "licenses"),
        *("parts", "parts_columns", "data_skipping_indices", "projections", "constraints", "codecs"),
        *("current_roles", "enabled_roles", "documentation", "unicode", "database_engines", "privileges"),
    }
)
INFORMATION: Final = frozenset({"information_schema"})
_NAMED: Final = ("", "WithNames", "WithNamesAndTypes")
FORMATS: Final = frozenset(
    {
        *("Native", "Null", "Vertical", "TSKV", "XML", "Markdown", "SQLInsert", "Hash", "RawBLOB", "LineAsString"),
        *("Arrow", "ArrowStream", "Parquet", "ORC", "Avro", "Npy", "MsgPack", "BSONEachRow", "PrettyJSONEachRow"),
        *("JSON", "JSONStrings", "JSONCompact", "JSONCompactStrings", "JSONColumns", "JSONColumnsWithMetadata"),
        *("JSONCompactColumns", "JSONObjectEachRow", "JSONEachRow", "JSONLines", "NDJSON", "JSONL", "PrettyNDJSON"),
        *("JSONStringsEachRow", "JSONEachRowWithProgress", "JSONCompactEachRowWithProgress", "RowBinaryWithDefaults"),
        *("JSONStringsEachRowWithProgress", "JSONCompactStringsEachRowWithProgress"),
        *(f"{each}{more}" for each in ("CSV", "TSV", "TabSeparated", "TSVRaw", "TabSeparatedRaw") for more in _NAMED),
        *(f"{each}{more}" for each in ("JSONCompactEachRow", "JSONCompactStringsEachRow") for more in _NAMED),
        *(f"RowBinary{more}" for more in _NAMED),
        *(f"Pretty{each}{more}" for each in ("", "Compact", "Space") for more in ("", "NoEscapes", "MonoBlock")),
        *(f"Pretty{each}NoEscapesMonoBlock" for each in ("", "Compact", "Space")),
    }
)
"""Formats that are made of the data alone: no template, schema or registry is read for them, and no SQL is run."""

_MEMBERSHIP: Final = re.compile(r"(global)?(not)?(null)?in(ignoreset)?", re.IGNORECASE)
_APPLY: Final = re.compile(r" APPLY(?: (\w+)\b(?! ->)|\((\w+)\))")


class AnalystRules:
    """The lists, with the names that this engine knows. Threads share it."""

    def __init__(self, connection: Connection, database: str) -> None:
        self._databases = frozenset({database.lower()})
        self.settings: Final = rows_told(connection, database)
        """Of the engine, for each of an analyst's statements."""
        text = (resources.files("analytics.embedded.cage") / "functions.txt").read_text("ascii")
        listed = {name for line in text.splitlines() if not line.startswith("#") for name in line.split()}
        rows = [line.split("\t") for line in _column(connection, "name, alias_to, is_aggregate, case_insensitive")]
        allowed = {name for name, alias, *_ in rows if (alias or name) in listed}
        self._allowed = allowed | (listed & {"lambda", "exists", "grouping"})
        self._allowed_folded = {name.lower() for name, _, _, folded in rows if folded == "1" and name in allowed}
        self._aggregates = {name for name, _, aggregate, _ in rows if aggregate == "1" and name in allowed}
        self._aggregates_folded = {name.lower() for name in self._aggregates} & self._allowed_folded
        self._known_folded = {name.lower() for name, *_ in rows}
        self._passed = Recent[Hashable, None]()
        self._combinators = tuple(_column(connection, "name", "system.aggregate_function_combinators"))

    def check(self, connection: Connection, statement: Statement, params: Mapping[str, str], database: str) -> None:
        """Raise :class:`EngineError` (497, or 164 for what is no question) where an analyst may not ask this."""
        # PERF: the same words with the same parameters have the same tree; what was refused is asked again.
        key = (statement.canonical, *sorted(params.items()), ("", database))
        if sum(len(str(part)) for part in key) > MOST_LETTERS:
            self._check(connection, statement, params, database)
        else:
            self._passed.get(key, lambda: self._check(connection, statement, params, database))

    def _check(self, connection: Connection, statement: Statement, params: Mapping[str, str], database: str) -> None:
        check_names(statement.canonical)
        nodes = list(nodes_of(connection.syntax_tree(statement.without_format, params)))
        if not nodes or not _is_question(nodes[0]):
            word = statement.canonical.partition(" ")[0]
            raise engine_error(164, f"analyst: Cannot execute {word} in readonly mode.", "READONLY")
        checks: dict[str, Callable[[Node], None]] = {
            "Function": self._check_function,
            "TableIdentifier": lambda node: self._check_table(node.name, database),
            "Identifier": lambda node: self._check_identifier(node, database),
            "Literal": _check_literal,
        }
        for node in nodes[1:]:
            if node.kind not in PARTS:
                raise _denied(node.kind)
            checks.get(node.kind, _fine)(node)
        if statement.format:
            check_format(statement.format)
        for name in statement.settings:
            # NOTE: the engine's readonly lets some of its own settings pass.
            check_name(name)
        self._check_shown(nodes, database)
        self._check_applied(statement, sum(node.kind == "ColumnsApplyTransformer" for node in nodes))

    def check_database(self, name: str) -> None:
        """Raise :class:`EngineError` where an analyst may not use this database."""
        if name.lower() not in self._databases | INFORMATION | {"system"}:
            raise _denied(f"the database {name[:60]}")

    def _check_function(self, node: Node) -> None:
        if node.parents[-1] == "TableExpression":
            if node.name.lower() not in TABLE_FUNCTIONS:
                raise _denied(f"the table function {node.name}")
        elif not self._is_allowed(node.name):
            raise _denied(f"the function {node.name}")

    def _is_allowed(self, name: str) -> bool:
        if name in self._allowed or name.lower() in self._allowed_folded:
            return True
        base = name
        while ending := next((each for each in self._combinators if base.endswith(each)), ""):
            base = base.removesuffix(ending)
            if base in self._aggregates or base.lower() in self._aggregates_folded:
                return True
        return False

    def _check_table(self, name: str, database: str) -> None:
        first, dot, second = name.rpartition(".")
        within = (first if dot else database).lower()
        if within in self._databases | INFORMATION or (within == "system" and second in SYSTEM_TABLES):
            return
        raise _denied(f"the table {name[:120]}")

    def _check_identifier(self, node: Node, database: str) -> None:
        if node.position == 1 and _MEMBERSHIP.fullmatch(node.above) and "." in node.name:
            self._check_table(node.name, database)
        elif node.name.lower() in self._known_folded and not self._is_allowed(node.name):
            # NOTE: `arrayMap(file, …)`: a function may be named like a column.
            raise _denied(f"the name `{node.name}`, which is a function's")

    def _check_shown(self, nodes: Sequence[Node], database: str) -> None:
        """``SHOW CREATE a.b``, ``EXISTS a.b``, ``SHOW TABLES FROM a``: the names stand directly below the root."""
        names = [node.name for node in nodes if node.kind == "Identifier" and len(node.parents) == 1]
        if nodes[0].kind in {"ShowTables", "ShowCreateDatabaseQuery", "ExistsDatabaseQuery"}:
            for name in names:
                self.check_database(name)
        elif nodes[0].kind.startswith(("ShowCreate", "Exists")):
            self._check_table(".".join(names), database)

    def _check_applied(self, statement: Statement, transformers: int) -> None:
        """``* APPLY f``: the tree does not name the function."""
        names = [one or other for one, other in _APPLY.findall(literals_removed(statement.canonical))]
        if transformers != len(names) or not all(map(self._is_allowed, names)):
            raise _denied("APPLY with this function")


def check_format(name: str) -> None:
    """Raise :class:`EngineError` where an analyst may not have, or send, data in this format."""
    if name not in FORMATS:
        raise _denied(f"the format {name[:60]}")


def _check_literal(node: Node) -> None:
    """Literals stand in expressions; one that stands beside a query is a file's name."""
    if len(node.parents) == 1 or node.parents[-1] == "SelectWithUnionQuery":
        raise _denied("INTO OUTFILE")


def _is_question(root: Node) -> bool:
    return root.kind in STATEMENTS or (root.kind == "Explain" and root.name in EXPLAINED)


def _fine(_: Node) -> None:
    return


def _denied(what: str) -> EngineError:
    return engine_error(497, f"analyst: Not enough privileges for {what}.", "ACCESS_DENIED")


def _column(connection: Connection, columns: str, table: str = "system.functions") -> Iterable[str]:
    sql = f"SELECT {columns} FROM {table} ORDER BY length(name) DESC"  # noqa: S608 - names of ours
    return connection.query(sql, "TSVRaw")[0].decode().splitlines()
