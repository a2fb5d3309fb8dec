"""Listeners over recorded events: examples and explanations."""
