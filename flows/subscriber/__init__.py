"""What happens to one subscriber: timeline, late events, decisions, what is stored of it."""
