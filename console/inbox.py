"""The demo's inbox: a mail a person, with the link that a platform would have merged into it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

CAMPAIGN: Final = "spring-sale"


@dataclass(frozen=True, slots=True)
class Recipient:
    """The person whom a mail is for; ``token`` is the merge field of the mail's link."""

    name: str
    token: str


@dataclass(frozen=True, slots=True)
class Story:
    """One mail: its text and the target of its link."""

    subject: str
    text: str
    label: str
    path: str


@dataclass(frozen=True, slots=True)
class Mail:
    """A story as one person gets it."""

    name: str
    story: Story
    link: str
    redirected: bool


STORIES: Final = (
    Story("New runners are here", "Look at the spring shoes before everybody else does.", "See the shoes", "/"),
    Story(
        "Something warm for the evenings", "Jackets at spring prices, this week.", "To the jackets", "/category/jackets"
    ),
    Story("Pack for the weekend", "Three bags, from ten litres up.", "To the bags", "/category/bags"),
)


def mails_for(people: Sequence[Recipient], *, shop_url: str, collector_url: str) -> list[Mail]:
    """A mail a person. The first one's link goes by way of the redirect, the others carry their token themselves."""
    return [_mail(number, person, shop_url, collector_url) for number, person in enumerate(people)]


def _mail(number: int, person: Recipient, shop_url: str, collector_url: str) -> Mail:
    story = STORIES[number % len(STORIES)]
    landing = f"{shop_url}{story.path}?utm_campaign={CAMPAIGN}"
    if number == 0:
        return Mail(person.name, story, f"{collector_url}/r/{person.token}?u={quote(landing, safe='')}", True)
    return Mail(person.name, story, f"{landing}#sgm={person.token}", False)
