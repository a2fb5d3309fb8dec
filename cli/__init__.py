"""The commands that a person types; starts and joins the rooms."""

__version__ = "0.1.0"
