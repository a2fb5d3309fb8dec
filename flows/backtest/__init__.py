"""Listeners over the recorded past, by the very steps that run live."""
