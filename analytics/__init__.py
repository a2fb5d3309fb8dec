"""The history: loader of rows, named queries, the embedded ClickHouse server."""
