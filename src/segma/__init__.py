"""Segma: from what subscribers do, in order, to the email list they belong in.

Each sub-package is a room (README, "Rooms"); a test holds who may import whom.
"""

__version__ = "0.1.0"
