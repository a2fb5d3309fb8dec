"""How many runs wait at which step, and what was counted of it: gauges and the history's rows."""
