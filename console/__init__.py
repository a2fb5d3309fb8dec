"""Pages that a person looks at: the demo's shop and inbox, the lists, live events."""
