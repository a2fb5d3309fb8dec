"""Shares of all people: who is held out of a listener, and who is in which variant (SEMANTICS 9). Pure.

A stable hash of workspace, listener and person decides, so it is the same after restarts, in a replay, on every process
and in every version of the listener. A share is an exact decimal of a hundred.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any, Final

from contracts.codec import to_json
from flows.language.context import ParseContext, Schema
from flows.language.kinds import Text
from flows.language.model import NOBODY
from flows.language.shape import Given, names_of
from flows.language.source import BAD, YamlNode, phrase

ALL: Final = Fraction(2**64)
VARIANT: Final = "variant"
MAX_VARIANTS: Final = 20
_PERCENT: Final = r"[0-9]{1,3}(\.[0-9]{1,10})?%"
VARIANT_NAME: Final = Text("a variant's name of letters, digits and hyphens", "[a-z0-9]+(-[a-z0-9]+)*", 40)


def place_of(workspace: str, listener: str, subscriber: str, *more: str) -> int:
    """The person's place among all, at least 0 and less than 2^64: the first 8 bytes of the JSON array's SHA-256."""
    digest = hashlib.sha256(to_json([workspace, listener, subscriber, *more])).digest()
    return int.from_bytes(digest[:8], "big")


def is_held_out(holdout: Fraction, workspace: str, listener: str, subscriber: str) -> bool:
    """Whether the person is held out of a listener. ``holdout``: a part of 1."""
    # PERF: of almost every listener nobody is; to compare fractions takes longer than all else of a decision.
    return holdout is not NOBODY and holdout > 0 and place_of(workspace, listener, subscriber) < holdout * ALL


def variant_of(variants: Mapping[str, Fraction], workspace: str, listener: str, subscriber: str) -> str:
    """The person's variant; empty where the listener has none. ``variants``: name → its part of 1."""
    place, upper = place_of(workspace, listener, subscriber, VARIANT), Fraction(0)
    for name in sorted(variants):
        upper += variants[name]
        if place < upper * ALL:
            return name
    return ""


def as_percent(part: Fraction) -> str:
    """A part of 1 as it is written: ``12.5%``."""
    return f"{Decimal(part.numerator * 100) / Decimal(part.denominator):f}%"


@dataclass(frozen=True, slots=True)
class Percent:
    """A share such as ``10%`` or ``12.5%``, more than nothing and less than all; as a part of 1."""

    wanted: str = "a share such as 10% or 12.5%, more than 0% and less than 100%"

    def read(self, node: YamlNode, context: ParseContext) -> Any:
        """The part, exact."""
        found = Text(self.wanted, _PERCENT, 20).read(node, context)
        if found is BAD:
            return BAD
        try:
            part = Fraction(Decimal(found[:-1])) / 100
        except InvalidOperation:
            part = Fraction(0)
        return part if 0 < part < 1 else context.refuse(node, phrase(node), self.wanted)

    def schema(self) -> Schema:
        """A string with a percent sign."""
        return {"type": "string", "pattern": f"^{_PERCENT}$"}


@dataclass(frozen=True, slots=True)
class Variants:
    """Names with their shares, which add up to all."""

    wanted: str = "a mapping from names to shares that add up to 100%: {a: 50%, b: 50%}"

    def read(self, node: YamlNode, context: ParseContext) -> Any:
        """Name → part, as pairs in code-point order of the names."""
        if node.value is BAD:
            return BAD
        if node.pairs is None or not 2 <= len(node.pairs) <= MAX_VARIANTS:
            return context.refuse(node, phrase(node), f"{self.wanted}, 2 to {MAX_VARIANTS} of them")
        given, found = Given(node), dict[str, Fraction]()
        names = [VARIANT_NAME.read(key, context) for key, _ in node.pairs]
        for name, value in names_of(node, context, given):
            part = Percent().read(value, context)
            given.spoiled = given.spoiled or part is BAD
            if part is not BAD:
                found[name] = part
        if given.bad or any(name is BAD for name in names):
            return BAD
        if sum(found.values()) != 1:
            return context.refuse(
                node, f"shares that add up to {as_percent(sum(found.values(), Fraction(0)))}", self.wanted
            )
        return tuple(sorted(found.items()))

    def schema(self) -> Schema:
        """An object of any names."""
        return {
            "type": "object",
            "additionalProperties": Percent().schema(),
            "minProperties": 2,
            "maxProperties": MAX_VARIANTS,
        }
