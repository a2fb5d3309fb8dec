"""Conditions in English: what a person does, and what is asked of it. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from flows.language.hours import hours_in_words
from flows.language.memberships import in_words
from flows.language.model import Condition, Listener, Predicate, Reference
from flows.language.operators import OPERATORS
from flows.language.phrases import bare, lasting, listed, property_words, value


class Phrasing:
    """Phrases of one listener: references are told by the steps' names."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def reference(self, reference: Reference) -> str:
        """``the category of "looked"``."""
        element = self._listener.step(reference.step)
        return f'{property_words(reference.path)} of "{element.name or reference.step}"'

    def condition(self, condition: Condition, conjugated: Callable[[str], str] = str) -> str:
        """What a person does, ``conjugated`` or bare."""
        if condition.any_of:
            return listed((self.condition(member, conjugated) for member in condition.any_of), "or")
        return self.act(condition, conjugated) + self.beside(condition)

    def act(self, condition: Condition, conjugated: Callable[[str], str] = str) -> str:
        """What a person does, with the lines of ``where`` alone."""
        said = conjugated(bare(condition.action or "*"))
        lines = [self.line(line) for line in condition.where]
        return f"{said} where {listed(lines, 'and')}" if lines else said

    def beside(self, condition: Condition) -> str:
        """What is asked of the session, the person and the trust; only what the listener does not ask anyway."""
        said = ""
        if condition.session:
            said += f", in a visit {listed((self.session(line) for line in condition.session), 'and')}"
        said += "".join(f", {hours_in_words(hours)}" for hours in condition.hours)
        if condition.profile:
            said += f", known of whom is that {listed((self.line(line) for line in condition.profile), 'and')}"
        own = [each for each in condition.memberships if each not in self._listener.memberships]
        said += "".join(f", {in_words(each)}" for each in own)
        if condition.trust != self._listener.trust:
            said += _TRUST.get(condition.trust or "", "")
        return said

    def line(self, line: Predicate) -> str:
        """One line of a ``where``."""
        return f"{property_words(line.path)} {OPERATORS[line.op].words(self._operand(line.operand))}"

    def _operand(self, operand: Any) -> Any:
        if isinstance(operand, tuple):
            return tuple(self._operand(part) for part in operand)
        if isinstance(operand, Reference):
            return self.reference(operand)
        return value(operand)

    def session(self, line: Predicate) -> str:
        """One line of a ``session``."""
        as_words: Callable[[Any], str] = lasting if line.path == "duration" else str
        ends = line.operand if isinstance(line.operand, tuple) else (line.operand,)
        amount = OPERATORS[line.op].amount.format(*(as_words(end) for end in ends))
        return f"of {amount}" if line.path == "duration" else f"of {amount} {'event' if ends[-1] == 1 else 'events'}"


_TRUST: Final = {"token": ", proven by a mail's link or the server", "server": ", told by the server"}
