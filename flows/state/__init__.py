"""The state store: entries, timers, snapshots and the changelog that they are read back from."""
