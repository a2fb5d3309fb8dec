"""The embedded log: SQLite in a directory, several processes."""
