"""The commands that a person types; starts and joins the rooms."""
