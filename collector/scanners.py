"""Signs that a request for a mail's link or picture came from a machine (docs/architecture.md, "Identity").

Signs only: the flow decides, and a page that landed outranks them all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple


class MailMachine(StrEnum):
    """What kind of machine a user agent is of."""

    SCANNER = "scanner"
    """Follows links and loads pictures to look whether they are safe, or what is behind them."""
    PROXY = "proxy"
    """Loads pictures for a mailbox, when the mail is opened or before."""


class AgentSign(NamedTuple):
    """A user agent that is a machine's. ``source``: who says so."""

    pattern: str
    machine: MailMachine
    source: str


_APPLE = "https://support.apple.com/guide/mail/mlhl03be2866; the agent is exactly this, as mail senders have measured"
_GMAIL = "https://support.google.com/mail/answer/145919; agent as seen in pixel logs"
_PREFETCH = "https://bird.com/blog/gmail-prefetching-images"
_YAHOO = "https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html; named in the agent itself"
_OUTLOOK = "https://learn.microsoft.com/office/troubleshoot/office-suite-issues/office-document-discovery-requests"
_BING = "https://www.bing.com/webmasters/help/which-crawlers-does-bing-use-8c184ec0"
_OFFICE = "https://learn.microsoft.com/office/troubleshoot/office-suite-issues/click-hyperlink-to-sso-website"
_GOOGLE = "https://developers.google.com/search/docs/crawling-indexing/google-user-triggered-fetchers"
_VENDOR = "the vendor's own name in the agent of its gateway"
_CLIENT = "the library's or tool's own default agent"

SIGNS: Final = (
    AgentSign(r"^Mozilla/5\.0$", MailMachine.PROXY, _APPLE),
    AgentSign(r"GoogleImageProxy|ggpht\.com", MailMachine.PROXY, _GMAIL),
    AgentSign(r"Edge/12\.246 Mozilla/5\.0$", MailMachine.PROXY, _PREFETCH),
    AgentSign(r"YahooMailProxy|YahooCacheSystem", MailMachine.PROXY, _YAHOO),
    AgentSign(r"Outlook-?Image|OutlookImageProxy", MailMachine.PROXY, _OUTLOOK),
    AgentSign(r"(?:image|img|e?mail)[ _-]?proxy|ImageResizer", MailMachine.PROXY, _VENDOR),
    AgentSign(r"Microsoft Office .*Discovery|Microsoft-WebDAV-MiniRedir", MailMachine.SCANNER, _OUTLOOK),
    AgentSign(r"^Mozilla/4\.0 \(compatible; ms-office; MSOffice", MailMachine.SCANNER, _OFFICE),
    AgentSign(
        r"Google-(?:Safety|PageRenderer|Read-Aloud|InspectionTool)|FeedFetcher-Google|APIs-Google|Google-Apps-Script",
        MailMachine.SCANNER,
        _GOOGLE,
    ),
    AgentSign(r"BingPreview|SkypeUriPreview|MicrosoftPreview", MailMachine.SCANNER, _BING),
    AgentSign(
        r"proofpoint|mimecast|barracuda|safelinks|trend ?micro|symantec|messagelabs|fortinet|fortimail|sophos"
        r"|zscaler|ironport|forcepoint|fireeye|trellix|mcafee|kaspersky|cloudmark|vade ?secure|urlscan|virustotal"
        r"|netcraft|trustwave|fortiguard|ahnlab|hornetsecurity|spamtitan|bitdefender|avira(?!/[0-9.]+)|darktrace|ironscales|ppcheck"
        r"|censys|zgrab|nessus",
        MailMachine.SCANNER,
        _VENDOR,
    ),
    # NOTE: a telephone is called CUBOT. Telegram's own browser names the app, and a person looks through it.
    AgentSign(
        r"(?<!cu)bot\b|crawler|spider|slurp|facebookexternalhit|^whatsapp/|slack-?img|preview|kakaotalk-scrap|vkshare"
        r"|embedly|iframely|cardyb|^mastodon/|meta-external|ia_archiver|heritrix|nutch|^zabbix|statuscake|site24x7",
        MailMachine.SCANNER,
        _VENDOR,
    ),
    AgentSign(
        r"python-requests|python-urllib|python/|aiohttp|httpx|curl/|wget|go-http-client|java/|okhttp|axios"
        r"|node-fetch|libwww|apache-httpclient|headlesschrome|phantomjs|guzzle|undici|scrapy|postman|httpie"
        r"|symfony httpclient|rest-client|faraday|urllib3|reqwest|dart/|puppeteer|playwright|lighthouse|php/|^ruby\b"
        r"|powershell|winhttp|linkcheck|link checker|^got \(|^node$|insomnia/|commons-httpclient|restsharp|deno/|bun/"
        r"|typhoeus|httrack|mechanize|^k6/|colly|w3c[_-]",
        MailMachine.SCANNER,
        _CLIENT,
    ),
)
"""NOTE: for mail in a browser or an app the reader's own agent comes, and none of these."""

_DEVICE: Final = re.compile(r"\(Linux;[^()]*\bAndroid\b(?![^()]*(?:compatible;|https?:))[^()]*\)", re.IGNORECASE)
"""Where a telephone's model stands, which may be called anything: `Spider X`, `BOT-L21`."""
_AGENTS: Final = tuple((re.compile(sign.pattern, re.IGNORECASE), sign.machine) for sign in SIGNS)
PREFETCHING: Final = ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")
"""Headers with which browsers and mail programs say that nobody has asked for this yet."""


def machine_of(user_agent: str) -> MailMachine | None:
    """What kind of machine sends this user agent; None where it may be a person's program."""
    told = _DEVICE.sub("()", user_agent.strip())
    return next((machine for pattern, machine in _AGENTS if pattern.search(told)), None)


def scanner_sign(method: str, user_agent: str, headers: Mapping[str, str]) -> str:
    """Why a click looks like a machine's; empty where it does not. ``headers``: names in lower case."""
    if method == "HEAD":
        return "head_request"
    if is_prefetch(headers):
        return "prefetch"
    if not user_agent.strip():
        return "no_user_agent"
    return "known_agent" if machine_of(user_agent) is not None else ""


def is_machine_open(user_agent: str, headers: Mapping[str, str]) -> bool:
    """Whether a picture was loaded by a proxy, a prefetcher or a scanner, and not by a person's mail program."""
    return not user_agent.strip() or is_prefetch(headers) or machine_of(user_agent) is not None


def is_prefetch(headers: Mapping[str, str]) -> bool:
    """Whether the headers say that it was asked for in advance."""
    said = (headers.get(name.lower(), "").lower() for name in PREFETCHING)
    return any("prefetch" in each or "prerender" in each or "preview" in each for each in said)
