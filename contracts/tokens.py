"""Tokens in email links: who the mail was sent to, sealed with AES-SIV (RFC 5297).

``<key id>.<base64url(seal + ciphertext)>``; inside: workspace, subscriber id, time of issue and, for a redirect link,
its destination. No address, ever. AES-SIV is deterministic and needs no nonce: the same claims under the same key are
the same token, so a token can live in an email platform's merge field until the key rotates.

Rotation: :class:`Keyring` seals with its first key and opens with any; a key is dropped once the tokens it sealed may
die.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import functools
import hashlib
import hmac
import html
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import ClassVar, Final
from urllib.parse import unquote

import idna
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from contracts.codec import Value, msgpack_reader, to_msgpack, written
from contracts.errors import BadRecord, BadToken
from contracts.reasons import Reason

KEY_BYTES: Final = 64
"""AES-256-SIV takes two 256-bit keys in one string (RFC 5297, section 2.7)."""

MAX_TOKEN_CHARS: Final = 2_048
"""Longest token looked at; a link longer than that breaks in mail clients anyway."""

MIN_SEALED_CHARS: Final = 24
"""Fewer than any token has behind its key's id."""
END: Final = "0"
"""Stands behind a token that would end in a sign which linkers cut off."""
MAX_READINGS: Final = 9
"""Of one spelling: itself, up to four with an end put back, and up to four with signs taken away."""
_FORM: Final = re.compile(
    rf"[^A-Za-z0-9{{%$|]*(?:3D(?=[A-Za-z0-9]))?(?P<key>[A-Za-z0-9]{{1,16}})\.(?P<body>[A-Za-z0-9_-]{{{MIN_SEALED_CHARS},}})"
)
"""A token with whatever stands around it: quotes, brackets, the `3D` of quoted-printable, what was glued behind it."""
_QUOTED_PRINTABLE: Final = re.compile("=(2[DdEe]|3[Dd]|5[Ff])")
_BROKEN: Final = re.compile(r"=?[\s+]+(?:>[\s+>]*)?|=")
"""Where a line was broken, the line's end perhaps gone: quoted-printable writes ``=`` in front of it, a quoted mail
``>`` behind it, and a form ``+`` for a blank."""
INVISIBLE: Final = dict.fromkeys(
    map(ord, "\u00ad\u200b\u200e\u200f\u2060\ufeff\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
)
"""Signs that show nothing and come along when an address is copied from a page. The joiners U+200C and U+200D stay:
domains of some scripts need them."""
_TYPED: Final = str.maketrans(
    {
        **{chr(sign): None for sign in INVISIBLE},
        **dict.fromkeys("\u200c\u200d\\"),
        **dict.fromkeys("\u2010\u2011\u2013\u2212\uff0d", "-"),
        "\u2014": "--",
        "\uff0e": ".",
        "\uff3f": "_",
    }
)
"""Signs that show nothing, the backslash of Markdown, and what word processors write for hyphens."""
MAX_UNQUOTINGS: Final = 3
MAX_ADDRESS_CHARS: Final = 320
_ADDRESS: Final = re.compile(
    r"(?:[^\s\0-\x1f@]+|\"[^\0-\x1f]+\")@(?:\[[^\s\0-\x1f@\]]+\]|(?!\.)(?:(?!\.\.)[^\s\0-\x1f@\"%&(),/:;<=>?\[\\\]{|}])+)"
)
_MAILTO: Final = "mailto:"
_DIVIDING: Final = ",; \t\r\n"
"""Signs that stand behind an address in a list of them, and in none."""
_NAMED: Final = re.compile(r"[^<>]*<(?P<address>[^<>]*@[^<>]*)>")

MAX_CLOCK_AHEAD_S: Final = 300
"""How far in the future a time of issue may lie: two hosts' clocks, not a forgery (the seal holds)."""


class Claims(Value, frozen=True):
    """A token's content. ``issued_at_s``: whole seconds since the epoch; ``destination``: only in redirect links."""

    SCHEMA: ClassVar[int] = 1

    workspace: str
    subscriber: str
    issued_at_s: int
    destination: str = ""
    schema: int = written(1)


class TokenKey(Value, frozen=True):
    """One sealing key. ``key_id`` (1 to 16 letters and digits) stands in front of every token it sealed."""

    key_id: str
    secret: bytes

    def __repr__(self) -> str:
        return f"TokenKey({self.key_id!r}, secret=…)"


_read_claims = msgpack_reader(Claims)


class Keyring:
    """Seals and opens tokens. Pure: the time comes as an argument."""

    def __init__(self, keys: Sequence[TokenKey], *, max_age_s: int) -> None:
        """``keys``: newest first; the first seals. ``max_age_s``: how long a token is believed."""
        if not keys:
            raise ValueError("a keyring needs at least one key")
        for key in keys:
            if len(key.secret) != KEY_BYTES or not key.key_id.isalnum() or len(key.key_id) > 16:
                raise ValueError(f"key {key.key_id!r}: {KEY_BYTES} bytes and an id of 1 to 16 letters and digits")
        self.first = keys[0].key_id
        """The id of the key that seals."""
        self._ciphers = {key.key_id: AESSIV(key.secret) for key in keys}
        self._max_age_s = max_age_s

    def seal(self, claims: Claims) -> str:
        """The token of these claims, under the newest key."""
        sealed = self._ciphers[self.first].encrypt(to_msgpack(claims), [self.first.encode()])
        text = base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()
        # NOTE: linkers take a last `-` or `_` for the sentence's. Only a text of whole groups of four can end so, and
        # one letter more is then no length that base64 has: it is known as the end and nothing else.
        return f"{self.first}.{text}{END if text[-1] in '-_' else ''}"

    def open(self, token: str, *, workspace: str | None, now_s: int) -> Claims:
        """The claims of a token, if all is well with it.

        What mails and linkers do to a link is undone: signs around the token and parameters glued to it are left out,
        escapes (percent, entities, quoted-printable, twice too) and broken lines in it are undone, a last ``-`` or
        ``_`` that was cut is put back. The seal decides; nothing is believed that it does not fit.

        Raises :class:`BadToken`: ``token_malformed``, ``token_unknown_key``, ``token_forged``, ``token_foreign`` (of
        another workspace than ``workspace``; None takes any), ``token_expired``.
        """
        claims = self._claims(token)
        if workspace is not None and claims.workspace != workspace:
            raise BadToken(Reason.TOKEN_FOREIGN)
        if not -MAX_CLOCK_AHEAD_S <= now_s - claims.issued_at_s <= self._max_age_s:
            raise BadToken(Reason.TOKEN_EXPIRED)
        return claims

    def _claims(self, token: str) -> Claims:
        """The claims of the first spelling of a token whose seal fits."""
        fault = BadToken(Reason.TOKEN_MALFORMED)
        for text in _spellings(token) if len(token) <= MAX_TOKEN_CHARS else ():
            found = _FORM.match(text)
            if found is not None:
                try:
                    return self._opened(found["key"], found["body"])
                except BadToken as error:
                    fault = fault if fault.reason is not Reason.TOKEN_MALFORMED else error
        raise fault

    def _opened(self, key_id: str, body: str) -> Claims:
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise BadToken(Reason.TOKEN_UNKNOWN_KEY, f"key id {key_id!r}")
        readings = [sealed for each in _readings(body) if (sealed := _unpacked(each)) is not None]
        for sealed in readings:
            try:
                claims: Claims = _read_claims(cipher.decrypt(sealed, [key_id.encode()]))
            except InvalidTag:
                continue
            except BadRecord as error:
                raise BadToken(error.reason, "claims") from None
            return claims
        raise BadToken(Reason.TOKEN_FORGED if readings else Reason.TOKEN_MALFORMED)


def has_token_form(text: str) -> bool:
    """Return whether a text begins as a token does: an unfilled merge field does not."""
    return len(text) <= MAX_TOKEN_CHARS and any(_FORM.match(each) for each in _spellings(text))


def _spellings(text: str) -> Iterator[str]:
    """A text as it came; without the escapes that writers, mails and rewriters put in; and with its lines joined."""
    yield text
    plain = text
    for _ in range(MAX_UNQUOTINGS):
        quoted = plain
        plain = _QUOTED_PRINTABLE.sub(lambda found: chr(int(found[1], 16)), plain)
        plain = html.unescape(unquote(plain))
        if plain == quoted:
            break
    plain = plain.translate(_TYPED)
    if plain != text:
        yield plain
    joined = _BROKEN.sub("", plain)
    if joined != plain:
        yield joined


def _readings(body: str) -> Iterator[str]:
    """The sealed text as it came, and as it may have been before a linker cut its end or a writer put signs there."""
    yield body.removesuffix(END) if len(body) % 4 == 1 else body
    if len(body) % 4 == 3:
        yield from (f"{body}{cut}" for cut in "-_")
    elif len(body) % 4 == 2:
        yield from (f"{body}{cut}" for cut in ("--", "-_", "_-", "__"))
    for left in range(MAX_READINGS - 5, 0, -1):
        if body[-1:] not in {"-", "_"}:
            return
        body = body[:-1] if left > 1 else body.rstrip("-_")
        yield body.removesuffix(END) if len(body) % 4 == 1 else body


def _unpacked(body: str) -> bytes | None:
    """The bytes of unpadded base64, in its one spelling; None where it is none, or holds no more than a seal."""
    try:
        sealed = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    # AES-SIV's seal alone is 16 bytes: there is nothing behind it. And one token has one spelling.
    is_one = len(sealed) > 16 and base64.urlsafe_b64encode(sealed).rstrip(b"=").decode() == body
    return sealed if is_one else None


def normalised_address(address: str) -> str:
    """An email address as platforms are asked for it: NFC, lower case, and nothing around it: blanks, signs that show
    nothing, a name (``Zoe <zoe@example.org>``), a ``mailto:`` link, what divides it from the next of a list.

    Plus tags and dots are kept: they are different mailboxes for anyone but their provider.
    """
    text = unicodedata.normalize("NFC", address).translate(INVISIBLE).strip().rstrip(_DIVIDING)
    found = _NAMED.fullmatch(text)
    bare = (found["address"] if found is not None else text).strip().rstrip(_DIVIDING).lower()
    return unquote(bare[len(_MAILTO) :].partition("?")[0]) if bare.startswith(_MAILTO) else bare


def mailbox_key(address: str) -> str:
    """The form of an email address that decides who is the same person: normalised, its domain as the DNS has it.

    ``u@müller.example`` and ``u@xn--mller-kva.example`` are one mailbox, and so is either with a dot behind it. What
    can be no name of a host stays as it is written.
    """
    local, at, domain = normalised_address(address).rpartition("@")
    domain = domain.removesuffix(".")
    if at and not domain.isascii() and len(domain) <= MAX_ADDRESS_CHARS:
        with contextlib.suppress(idna.IDNAError):
            domain = idna.encode(domain, uts46=True).decode().removesuffix(".")
    return f"{local}{at}{domain}"


def other_spelling(address: str) -> str:
    """The same mailbox with its domain in the other of its two spellings; empty where there is but one."""
    local, at, domain = normalised_address(address).rpartition("@")
    if not domain.isascii():
        return "" if (found := mailbox_key(address)) == f"{local}{at}{domain}" else found
    if "xn--" not in domain:
        return ""
    try:
        return f"{local}{at}{idna.decode(domain)}"
    except idna.IDNAError:
        return ""


def is_address(text: str) -> bool:
    """Whether a text may be somebody's email address, so that an id may be made of it: a mailbox, a sign, a host."""
    return len(text) <= MAX_ADDRESS_CHARS and _ADDRESS.fullmatch(normalised_address(text)) is not None


def subscriber_id(workspace_secret: bytes, address: str) -> str:
    """The opaque id of a person in a workspace: ``s_`` and 32 hexadecimal digits of HMAC-SHA-256.

    The same address in two workspaces has two unrelated ids, because their secrets differ.
    """
    digest = hmac.new(workspace_secret, mailbox_key(address).encode(), hashlib.sha256).hexdigest()
    return f"s_{digest[:32]}"


@functools.lru_cache(maxsize=16_384)  # PERF: each beacon of a visit asks for the same
def stored_device(workspace_secret: bytes, device: str) -> str:
    """A device's id as it is stored: ``d_`` and 32 hexadecimal digits of HMAC-SHA-256.

    The id that the browser sends is all that a stranger needs to act for who uses it, and stands nowhere behind the
    door; from the stored one nobody can make a beacon of the same device.
    """
    return f"d_{hmac.digest(workspace_secret, b'device/' + device.encode(), 'sha256').hex()[:32]}"


@functools.lru_cache(maxsize=16_384)  # PERF: asked for each event of a device, and again for its row
def anonymous_id(workspace: str, device: str) -> str:
    """The id of a device's subscriber while nobody knows who it is: ``a_`` and 32 hexadecimal digits."""
    digest = hashlib.sha256(f"{workspace}/{device}".encode()).hexdigest()
    return f"a_{digest[:32]}"


def shown_device(device: str) -> str:
    """A device's id as a page or a terminal may show it: its beginning. The whole of it is all that a stranger needs to
    act for who uses that browser.
    """
    return f"{device[: min(8, len(device) // 2)]}…" if device else ""


def is_anonymous(subscriber: str) -> bool:
    """Return whether a subscriber id stands for a device whose owner is not known yet."""
    return subscriber.startswith("a_")
