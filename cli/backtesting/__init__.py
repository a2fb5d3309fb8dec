"""The work of ``segma backtest``: its plan on the disk, its ranges, its answer in words and as a page."""
