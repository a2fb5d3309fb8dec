"""Actions of a person that no page sends: who joins or leaves a list, gets or loses a tag."""

from __future__ import annotations

from typing import Final

from contracts.action import Action

LIST_JOINED: Final = "list_joined"
LIST_LEFT: Final = "list_left"
TAG_ADDED: Final = "tag_added"
TAG_REMOVED: Final = "tag_removed"
SESSION_ENDED: Final = "session_ended"
COMMAND_UNCHANGED: Final = "command_unchanged"
"""What a sink tells of a command that changed nothing: the events that its match made are taken back. No step's."""
MEMBERSHIP: Final = frozenset({LIST_JOINED, LIST_LEFT, TAG_ADDED, TAG_REMOVED})
PERSON: Final = "person"
IMPORT: Final = "import"
"""A file, a list that was read, or a comparison with one."""
BY_OTHERS: Final = (PERSON, "platform", IMPORT)
"""Who did it, where Segma did not; the first, where it is not said."""
SEGMA: Final = "segma"

MADE_ACTIONS: Final[tuple[Action, ...]] = (
    Action(
        LIST_JOINED,
        "join a list",
        "The person is in a list of an account from now on: by a move of Segma's, by themselves, or by others.",
        "a match that wants it, platform webhook, import",
        automatic=False,
        sample={"account": "mailbox", "list": "newsletter", "by": "person"},
        where="{list: newsletter, by: person}",
    ),
    Action(
        LIST_LEFT,
        "leave a list",
        "The person is in a list of an account no more.",
        "a match that wants it, platform webhook, import",
        automatic=False,
        sample={"account": "mailbox", "list": "newsletter", "by": "person"},
        where="{list: newsletter}",
    ),
    Action(
        TAG_ADDED,
        "get a tag",
        "The person has a tag at an account from now on.",
        "a match that wants it, platform webhook",
        automatic=False,
        sample={"account": "mailbox", "tag": "warm", "by": "platform"},
        where="{tag: warm}",
    ),
    Action(
        TAG_REMOVED,
        "lose a tag",
        "The person has a tag at an account no more.",
        "a match that wants it, platform webhook",
        automatic=False,
        sample={"account": "mailbox", "tag": "warm", "by": "platform"},
        where="{tag: warm}",
    ),
    Action(
        SESSION_ENDED,
        "end a visit",
        "Nothing came of the person for as long as a session may pause: the visit was over then.",
        "the flow, once the pause is over",
        automatic=False,
        sample={"duration_ms": 95000, "events": 4, "landing_path": "/", "exit_path": "/prices", "campaign": "spring"},
        where='{events: {at_least: 3}, exit_path: "/prices*"}',
    ),
)
