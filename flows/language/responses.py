"""What a match does: the tables of ``then`` (SEMANTICS 8)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlsplit

from flows.language.context import ParseContext, Schema, checked_path
from flows.language.kinds import ListOf, Text
from flows.language.model import Do, Response, Template, VariantName
from flows.language.shape import Field, Given, Shape
from flows.language.shares import VARIANT
from flows.language.source import BAD, YamlNode, phrase

MAX_RESPONSES: Final = 20

ACCOUNT: Final = Text("the name of an account, such as mailchimp-main", "[a-z][a-z0-9-]{0,39}", 40)
TAG: Final = Text("a tag's name without braces, of at most 100 characters", r"[^{}\x00-\x1f]+", 100)
_HOLE = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class ListName:
    """A list's name; ``{step.property}`` in it is filled in by the match."""

    wanted: str = 'a list\'s name, such as newsletter or "viewed-{looked.category}"'

    def read(self, node: YamlNode, context: ParseContext) -> Any:
        """A :class:`Template`."""
        if node.pairs is not None:
            return context.refuse(node, "a mapping", f"{self.wanted}, in quotes where it has braces")
        found = Text(self.wanted, r"[^\x00-\x1f]+", 200).read(node, context)
        if found is BAD:
            return BAD
        if "{" not in found and "}" not in found:
            return Template(found, (found,))
        return self._template(node, found, context)

    def _template(self, node: YamlNode, text: str, context: ParseContext) -> Any:
        if set(_HOLE.sub("", text)) & {"{", "}"}:
            return context.refuse(node, phrase(node), "braces in pairs: {step.property}")
        parts: list[Any] = []
        for index, part in enumerate(_HOLE.split(text)):
            if index % 2:
                parts.append(self._hole(node, part, context))
            elif part:
                parts.append(part)
        return BAD if any(part is BAD for part in parts) else Template(text, tuple(parts))

    def _hole(self, node: YamlNode, text: str, context: ParseContext) -> Any:
        if text == VARIANT:
            return VariantName()
        if not re.fullmatch(r"[^.]+\..+", text):
            return context.refuse(node, f'"{{{text[:60]}}}"', "a step and a property: {looked.category}")
        found = context.reference(node, text)
        if found is BAD or checked_path(node, found.path, context, several=False) is BAD:
            return BAD
        return found

    def schema(self) -> Schema:
        """A string."""
        return {"type": "string", "minLength": 1, "maxLength": 200}


@dataclass(frozen=True, slots=True)
class Url:
    """An http or https address without a name and password in it."""

    def read(self, node: YamlNode, context: ParseContext) -> Any:
        """The address."""
        wanted = 'an address, such as "https://crm.example/hook"'
        found = Text(wanted, r"https?://[^\s\x00-\x1f]+", 2_000).read(node, context)
        if found is BAD:
            return BAD
        try:
            parts = urlsplit(found)
            host, _ = parts.hostname, parts.port
        except ValueError:
            return context.refuse(node, phrase(node), wanted)
        if not host:
            return context.refuse(node, phrase(node), wanted)
        if parts.username is not None or parts.password is not None:
            return context.refuse(node, "an address with a name or password in it", "an address without secrets")
        return found

    def schema(self) -> Schema:
        """A string."""
        return {"type": "string", "pattern": r"^https?://\S+$"}


def _move(given: Given, context: ParseContext) -> Any:
    if not given.bad and given["from"].text == given["to"].text:
        given.refuse(context, "to", f'the list "{given["to"].text}", which is also `from`', "another list")
    return BAD if given.bad else Response(Do.MOVE, given["at"], to_list=given["to"], from_list=given["from"])


def _add(given: Given, context: ParseContext) -> Any:
    return BAD if given.bad else Response(Do.ADD, given["at"], to_list=given["to"])


def _remove(given: Given, context: ParseContext) -> Any:
    return BAD if given.bad else Response(Do.REMOVE, given["at"], from_list=given["from"])


def _tag(given: Given, context: ParseContext) -> Any:
    return BAD if given.bad else Response(Do.TAG, given["at"], tag=given["add"])


def _untag(given: Given, context: ParseContext) -> Any:
    return BAD if given.bad else Response(Do.UNTAG, given["at"], tag=given["remove"])


def _webhook(given: Given, context: ParseContext) -> Any:
    return BAD if given.bad else Response(Do.WEBHOOK, url=given["url"])


_AT: Final = Field("at", ACCOUNT, "The account at an email platform.", required=True)
_TO: Final = Field("to", ListName(), "The list to be in; it is made if missing.", required=True)
_FROM: Final = Field("from", ListName(), "The list to leave.", required=True)

VERBS: Final = (
    Shape("move", (_FROM, _TO, _AT), _move),
    Shape("add", (_TO, _AT), _add, elsewhere={"from": "`add` takes `to`; with `from` it is a `move`"}),
    Shape("remove", (_FROM, _AT), _remove, elsewhere={"to": "`remove` takes `from`; with `to` it is a `move`"}),
    Shape("tag", (Field("add", TAG, "The tag to set.", required=True), _AT), _tag),
    Shape("untag", (Field("remove", TAG, "The tag to take away.", required=True), _AT), _untag),
    Shape("webhook", (Field("url", Url(), "Called with the match, signed.", required=True),), _webhook),
)
_MEANINGS: Final = {
    "move": "Add to one list, then remove from the other.",
    "add": "Add to a list.",
    "remove": "Remove from a list.",
    "tag": "Set a tag.",
    "untag": "Take a tag away.",
    "webhook": "Call an address, signed, at least once.",
}


def _response(given: Given, context: ParseContext) -> Any:
    if given.bad:
        return BAD
    only = given.pop("only", None)
    return replace(next(iter(given.values())), only=only)


RESPONSE: Final = Shape(
    "response",
    (
        *(Field(verb.name, verb, _MEANINGS[verb.name]) for verb in VERBS),
        Field(
            "only", Text("the name of a variant", "[a-z0-9]+(-[a-z0-9]+)*", 40), "For the people of this variant alone."
        ),
    ),
    _response,
    one_of=tuple(_MEANINGS),
)
RESPONSES: Final = ListOf(
    RESPONSE, "a list of what to do, such as `- add: {to: warm, at: mailbox}`", most=MAX_RESPONSES
)
