"""Writing a listener: its form and its YAML, its problems, and the draft's file in the listeners' folder."""
