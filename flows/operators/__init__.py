"""What Bytewax runs: sources, key groups, the stateful logic, watermarks, the sink. Thin."""
