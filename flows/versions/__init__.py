"""Versions of listeners: which is live for an event, what pages must capture, how long matches are kept."""
