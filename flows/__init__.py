"""The listener language, the matcher, sessions and decisions (pure), and the two Bytewax dataflows around them."""
