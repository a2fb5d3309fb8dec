"""The console's pages as HTML. What changes while they are open is filled in by ``static/console.js``, as text only."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from console.markup import Html, html, joined

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title} · Segma</title><link rel="stylesheet" href="/static/console.css"></head>
<body data-page="{kind}"><header><a class="brand" href="/">Segma</a><nav aria-label="Main">
<a href="/inbox">Inbox</a><a href="/lists">Lists</a><a href="/events">Events</a></nav></header>
<main><h1>{title}</h1>{body}</main><script src="/static/console.js"></script></body></html>"""

_HOME = """<p class="lead">From what people do, in order, to the list they belong in.</p>
<ol class="cards"><li><a href="/inbox"><b>Inbox</b> Open a mail and follow its link.</a></li>
{shop}
<li><a href="/lists"><b>Lists</b> See who moves, and why, the instant it happens.</a></li>
<li><a href="/events"><b>Events</b> Watch what the shop's visitors do.</a></li></ol>"""

_SHOP = '<li><a href="{url}"><b>Shop</b> Walk through it; nobody has to log in.</a></li>'

_LISTS = """<p class="lead">Changes come in by themselves.</p>
<section aria-labelledby="l"><h2 id="l">Lists</h2><div id="lists" class="lists" aria-live="polite"></div></section>
<section aria-labelledby="m"><h2 id="m">Moves</h2><ol id="moves" class="moves"></ol></section>"""

_EVENTS = """<p class="lead">The newest first.</p><table><thead><tr><th>Time</th><th>Person</th><th>Action</th>
<th>Properties</th><th>Trust</th></tr></thead><tbody id="events"></tbody></table>"""

_MAIL = """<article class="mail"><header><b>{subject}</b><span>to {name}</span></header><p>Hello {name},</p>
<p>{text}</p><p><a class="button" href="{link}" data-person="{name}">{label}</a></p><footer>{how}</footer></article>"""

CAMPAIGN = "spring-sale"


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


STORIES = (
    Story("New runners are here", "Look at the spring shoes before everybody else does.", "See the shoes", "/"),
    Story(
        "Something warm for the evenings", "Jackets at spring prices, this week.", "To the jackets", "/category/jackets"
    ),
    Story("Pack for the weekend", "Three bags, from ten litres up.", "To the bags", "/category/bags"),
)


def page(kind: str, title: str, body: Html) -> str:
    """A whole page."""
    return html(_PAGE, kind=kind, title=title, body=body)


def home(shop_url: str | None) -> str:
    """Return the first page: a description of the console, with links."""
    shop = (
        html('<a href="{url}"><b>Shop</b> Walk through it; nobody has to log in.</a>', url=shop_url) if shop_url else ""
    )
    return page("home", "What happens here", html(_HOME, shop=shop))


def inbox(people: list[Recipient], *, shop_url: str | None, collector_url: str) -> str:
    """A mail a person. The first one's link goes by way of the redirect, the others carry their token themselves."""
    if shop_url is None or not people:
        text = "No mails yet: nobody is in the directory." if shop_url else "The inbox belongs to the demo's shop."
        return page("inbox", "Inbox", html('<p class="lead">{text}</p>', text=text))
    mails = [_mail(number, person, shop_url, collector_url) for number, person in enumerate(people)]
    return page("inbox", "Inbox", html('<div class="mails">{mails}</div>', mails=joined(mails)))


def _mail(number: int, person: Recipient, shop_url: str, collector_url: str) -> Html:
    story = STORIES[number % len(STORIES)]
    landing = f"{shop_url}{story.path}?utm_campaign={CAMPAIGN}"
    if number == 0:
        link, how = f"{collector_url}/r/{person.token}?u={quote(landing, safe='')}", "by way of Segma's redirect"
    else:
        link, how = f"{landing}#sgm={person.token}", "to the shop directly"
    return html(
        _MAIL,
        subject=story.subject,
        name=person.name,
        text=story.text,
        link=link,
        label=story.label,
        how=f"The link leads {how}.",
    )


def lists() -> str:
    """The lists and the moves, live."""
    return page("lists", "Lists", Html(_LISTS))


def events() -> str:
    """The newest events, live."""
    return page("events", "Events", Html(_EVENTS))
