"""The log: topics, publish with confirmation, consume with positions."""
