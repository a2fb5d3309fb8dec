"""The matcher: one pure machine for all listeners. State in, event in; state out, matches out."""
