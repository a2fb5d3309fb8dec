"""What is derived from a subscriber's events: sessions, similar purchases, verdicts on clicks."""
