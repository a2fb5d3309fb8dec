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
import hashlib
import hmac
import unicodedata
from collections.abc import Sequence
from typing import ClassVar, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from contracts.codec import Value, msgpack_reader, to_msgpack, written
from contracts.errors import BadRecord, BadToken
from contracts.reasons import Reason

KEY_BYTES: Final = 64
"""AES-256-SIV takes two 256-bit keys in one string (RFC 5297, section 2.7)."""

MAX_TOKEN_CHARS: Final = 2_048
"""Longest token looked at; a link longer than that breaks in mail clients anyway."""

MAX_CLOCK_AHEAD_S: Final = 300
"""How far in the future a time of issue may lie: two hosts' clocks, not a forgery (the seal holds)."""


class Claims(Value, frozen=True):
    """What a token says. ``issued_at_s``: whole seconds since the epoch; ``destination``: only in redirect links."""

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
        return f"{self.first}.{base64.urlsafe_b64encode(sealed).rstrip(b'=').decode()}"

    def open(self, token: str, *, workspace: str | None, now_s: int) -> Claims:
        """The claims of a token, if all is well with it.

        Raises :class:`BadToken`: ``token_malformed``, ``token_unknown_key``, ``token_forged``, ``token_foreign`` (of
        another workspace than ``workspace``; None takes any), ``token_expired``.
        """
        key_id, sealed = _parted(token)
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise BadToken(Reason.TOKEN_UNKNOWN_KEY, f"key id {key_id!r}")
        try:
            claims: Claims = _read_claims(cipher.decrypt(sealed, [key_id.encode()]))
        except InvalidTag:
            raise BadToken(Reason.TOKEN_FORGED) from None
        except BadRecord as error:
            raise BadToken(error.reason, "claims") from None
        if workspace is not None and claims.workspace != workspace:
            raise BadToken(Reason.TOKEN_FOREIGN)
        if not -MAX_CLOCK_AHEAD_S <= now_s - claims.issued_at_s <= self._max_age_s:
            raise BadToken(Reason.TOKEN_EXPIRED)
        return claims


def _parted(token: str) -> tuple[str, bytes]:
    key_id, dot, body = token.partition(".")
    if not dot or not key_id.isalnum() or len(key_id) > 16 or len(token) > MAX_TOKEN_CHARS or not token.isascii():
        raise BadToken(Reason.TOKEN_MALFORMED)
    try:
        sealed = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise BadToken(Reason.TOKEN_MALFORMED) from None
    if len(sealed) <= 16 or base64.urlsafe_b64encode(sealed).rstrip(b"=").decode() != body:
        # AES-SIV's seal alone is 16 bytes: there is nothing behind it. And one token has one spelling.
        raise BadToken(Reason.TOKEN_MALFORMED)
    return key_id, sealed


def normalised_address(address: str) -> str:
    """The form of an email address that decides who is the same person: NFC, no outer blanks, lower case.

    Plus tags and dots are kept: they are different mailboxes for anyone but their provider.
    """
    return unicodedata.normalize("NFC", address).strip().lower()


def subscriber_id(workspace_secret: bytes, address: str) -> str:
    """The opaque id of a person in a workspace: ``s_`` and 32 hexadecimal digits of HMAC-SHA-256.

    The same address in two workspaces has two unrelated ids, because their secrets differ.
    """
    digest = hmac.new(workspace_secret, normalised_address(address).encode(), hashlib.sha256).hexdigest()
    return f"s_{digest[:32]}"


def anonymous_id(workspace: str, device: str) -> str:
    """The id of a device's subscriber while nobody knows who it is: ``a_`` and 32 hexadecimal digits."""
    digest = hashlib.sha256(f"{workspace}/{device}".encode()).hexdigest()
    return f"a_{digest[:32]}"


def is_anonymous(subscriber: str) -> bool:
    """Whether a subscriber id belongs to a device that nobody knows yet."""
    return subscriber.startswith("a_")
