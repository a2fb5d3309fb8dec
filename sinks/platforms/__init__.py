"""One file an email platform."""
