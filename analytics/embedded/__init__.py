"""The embedded ClickHouse: chDB behind ClickHouse's own HTTP interface."""
