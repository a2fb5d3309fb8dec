"""Takes tokens and addresses out of what is stored outside the directory: dead letters, properties, links, samples.

An address is found however a page, a form or a link has written it: plain, percent-encoded (also twice), as a JSON
escape or an HTML entity. Each is replaced by as many asterisks as it has bytes, so JSON and MessagePack around it stay
whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from contracts.tokens import INVISIBLE

_AT: Final = re.compile(
    r"@|＠|﹫|%(?:25)*40|%(?:25)*ef%(?:25)*bc%(?:25)*a0|\\(?<!\\\\)\\*+u(?:0040|ff20)"
    r"|&(?:amp;)*(?:#(?:0*64(?!\d)|x0*40(?![0-9a-f]));?|commat;)",
    re.I,
)
"""PERF: each way begins with a sign as it stands, in one mode: so the engine passes over all others in C. It does not
where a way begins with a class, a look behind or a mode of its own; :data:`_TOKEN` is written so too."""
_ESCAPE: Final = r"%(?:25)*[0-9a-f]{2}|\\++u[0-9a-f]{4}"
_SEPARATOR: Final = r"%(?:25)*(?:0[0-9a-f]|2[0236cf]|3[abcdef]|40)|\\++u00(?:0.|2[0236cf]|3[abcdef]|40)"
_SEPARATOR_BACKWARDS: Final = r"(?:[0-9a-f]0|[0236cf]2|[a-f]3|04)(?:(?:52)*%|00u\\)"
_ESCAPE_BACKWARDS: Final = r"[0-9a-f]{2}(?:52)*%|[0-9a-f]{4}u\\+"
_UNSEEN: Final = "".join(map(chr, INVISIBLE)) + "\u200c\u200d"
"""Of a class: signs that show nothing, the joiners among them."""
_LOCAL_BACKWARDS: Final = re.compile(
    rf"""[{_UNSEEN}]*(?:\)[^()"\\]{{0,64}}\()?(?:"\\+[^"\\]{{1,64}}"\\+"""
    rf"""|(?:(?!{_SEPARATOR_BACKWARDS})(?:{_ESCAPE_BACKWARDS}|[\w.!#$'*+^`{{|}}~{_UNSEEN}-])){{1,128}})""",
    re.I,
)
"""The part before the sign, read backwards from it: a word or a quoted text (in a JSON string its quotes are escaped),
perhaps with a comment behind it.

PERF: forwards its start would have to be tried at every character before the sign.
"""
_DOT: Final = r"(?:[.。．｡]|%(?:25)*2e|\\++u(?:002e|3002|ff0e|ff61)|&#0*46;|&period;)"
_OTHER: Final = rf"(?!{_SEPARATOR}|{_DOT}|\\++ud[89a-f])(?:{_ESCAPE})"
_LABEL: Final = rf"(?:[\w{_UNSEEN}-]|(?!{_SEPARATOR}|{_DOT})(?:{_ESCAPE})){{1,63}}"
_DOMAIN: Final = re.compile(
    r"\[(?:IPv6:)?[0-9a-f:.]{2,45}\]|(?:\([^()\"\\]{0,64}\))?(?!\d+x\.(?:png|jpe?g|gif|webp|avif|svg|ico)\b)"
    rf"(?:{_LABEL}{_DOT}){{1,16}}(?:xn--[\w-]+|(?:[^\W\d_]|{_OTHER}){{2,63}})",
    re.I,
)
"""NOTE: the last label has letters only, and ``@2x.png`` is a picture for fine screens; neither is a mailbox."""
_JSON_ESCAPE: Final = re.compile(r"\\u[0-9a-f]{4}|\\.", re.I | re.DOTALL)
_LOW_SURROGATE: Final = re.compile(r"\\ud[c-f][0-9a-f]{2}", re.I)
_WINDOW: Final = 160
"""Characters in front of the sign that may belong to the address."""
MIN_SEALED: Final = 48
"""Characters behind the key's id; a whole token has more than a hundred, the names of generated classes fewer."""
_SIGN: Final = (
    r"%(?:25)*(?:2d|5f)|\\++u00(?:2d|5f)|&#0*(?:45|95);|&lowbar;|=(?:2d|5f)|=(?:\\++[rn]|[\r\n]|%(?:25)*0[ad])*+"
)
_TOKEN: Final = re.compile(
    r"(?:\.|%(?:25)*2e|\\(?<!\\\\)\\*+u002e|&#0*46;|&#x0*2e;|&period;|=2e)"
    rf"((?:[a-z0-9_-]|{_SIGN}){{{MIN_SEALED},}}+)",
    re.I | re.ASCII,
)
"""What stands behind the key's id, also where it was cut: it is sealed, so every kind of sign is among it."""
_KINDS: Final = tuple(re.compile(kind) for kind in ("[A-Z]", "[a-z]", "[0-9]"))

_DEVICE: Final = re.compile(
    rb"(%b(?:_?id)?(?:\\*[\"']?\s*[:=]\s*\\*[\"']?|[\xa1-\xbf]|\xd9[\s\S]))((?:[\w.:%%-]|\\u[0-9a-f]{4})+)"
    % b"".join(b"(?:%c|\\\\u00%02x)" % (letter, letter) for letter in b"device"),
    re.I,
)
"""A field of that name and its value, in JSON (its escapes too), a form, or MessagePack."""

_ID: Final = re.compile(rb"(?=[A-Za-z._:%-]*[0-9])[A-Za-z0-9._:%-]{16,}")
"""What may be an id or a token, or a piece of one: so many characters without a blank, a digit among them."""


def masked(data: bytes) -> bytes:
    """The data without tokens and addresses, as long as before. What is no UTF-8 stays as it is around them."""
    text = data.decode("utf-8", "surrogateescape")
    clean = masked_text(text)
    return data if clean is text else clean.encode("utf-8", "surrogateescape")


def masked_text(text: str) -> str:
    """The text without tokens and addresses; the same object where there are none.

    >>> masked_text("https://shop.example/?to=anna%40example.org")
    'https://shop.example/?to=******************'
    """
    # PERF: almost no text has any spelling of the sign; only around one the costly patterns are tried.
    pieces: list[str] = []
    done = 0
    for start, end in _addresses(text):
        pieces += text[done:start], _stars(text[max(start, done) : end])
        done = end
    if done:
        text = "".join(pieces) + text[done:]
    clean = _TOKEN.sub(_token_masked, text) if len(text) > MIN_SEALED else text
    return text if clean == text else clean


def _token_masked(found: re.Match[str]) -> str:
    # PERF: looked at behind the pattern: ahead of each dot it would cost the square of a text of dots.
    return _stars(found[0]) if all(kind.search(found[1]) for kind in _KINDS) else found[0]


def without_devices(data: bytes) -> bytes:
    """The data of a beacon without its device's id, as long as before. A beacon is JSON, or MessagePack around it."""
    return _DEVICE.sub(lambda found: found[1] + b"*" * len(found[2]), data)


def without_ids(data: bytes) -> bytes:
    """The data without anything that may be an id or a piece of a token, as long as before: of what cannot be read."""
    return _ID.sub(lambda found: b"*" * len(found[0]), data)


def _addresses(text: str) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each address; two that touch may overlap."""
    if not _may_hold_sign(text):
        return
    for sign in _AT.finditer(text):
        before = text[max(0, sign.start() - _WINDOW) : sign.start()]
        local = _LOCAL_BACKWARDS.match(before[::-1])
        domain = _DOMAIN.match(text, sign.end()) if local is not None else None
        if local is not None and domain is not None:
            yield _behind_escape(text, sign.start() - local.end()), domain.end()


def _may_hold_sign(text: str) -> bool:
    # PERF: six looks for one sign each are a tenth of what the pattern takes for the whole text.
    return "@" in text or "%" in text or "\\" in text or "&" in text or "＠" in text or "﹫" in text


def _behind_escape(text: str, start: int) -> int:
    """The start of an address, moved behind the JSON escape that it lies in: after a line's end comes an ``n``.

    Half an escape, and half a surrogate pair of two, would cost the whole text around it.
    """
    slash = text.rfind("\\", max(0, start - 5), start)
    first = slash
    while first > 0 and text[first - 1] == "\\":
        first -= 1
    if slash >= 0 and (slash - first) % 2 == 0 and (escape := _JSON_ESCAPE.match(text, slash)) is not None:
        start = max(start, escape.end())
    low = _LOW_SURROGATE.match(text, start)
    return low.end() if low is not None else start


def _stars(text: str) -> str:
    return "*" * len(text.encode("utf-8", "surrogateescape"))
