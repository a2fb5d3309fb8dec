"""The listener language: YAML in, checked and frozen listeners out (SEMANTICS sections 1 and 8)."""
