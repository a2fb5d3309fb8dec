"""A listener in plain English, for the people who write the mails. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from flows.language.memberships import in_words
from flows.language.model import Condition, Do, Listener, Not, Reference, Repeat, Response, Scope, Step, Template, Times
from flows.language.phrases import lasting, listed, property_words, third
from flows.language.satisfiable import alternatives
from flows.language.shares import as_percent
from flows.language.words import Phrasing


def describe(listener: Listener) -> str:
    """A few lines: when it matches, what it then does, and how often."""
    head = f"{listener.name}, version {listener.version}"
    lines = [head, *([listener.description.strip()] if listener.description.strip() else []), ""]
    lines += ["When a person", *_sequence(listener)]
    lines += ["then Segma", *_responses(listener), ""]
    lines.append(" ".join(_terms(listener)))
    return "\n".join(lines) + "\n"


def _sequence(listener: Listener) -> Iterator[str]:
    phrasing = Phrasing(listener)
    steps = [element.number for element in listener.sequence if isinstance(element, Step)]
    for element in listener.sequence:
        if isinstance(element, Not):
            said = _guard(element, phrasing, listener, first=element.number < steps[0], last=element.number > steps[-1])
        else:
            said = _step(element, phrasing, first=element.number == steps[0])
        yield f"  {element.number}. {said}"


def _guard(guard: Not, phrasing: Phrasing, listener: Listener, *, first: bool, last: bool) -> str:
    what = phrasing.condition(guard.condition)
    if guard.ever:
        return f"did not {what} ever before"
    if first:
        return f"did not {what} within {lasting(guard.for_ms or 0)} before"
    if not last:
        return f"does not {what} before the next step"
    if guard.for_ms is not None:
        return f"and does not {what} within {lasting(guard.for_ms)} after that"
    if guard.number < len(listener.sequence):
        return f"and meanwhile does not {what}"
    return f"and does not {what} in what is left of the {lasting(listener.within_ms or 0)} since the first step"


def _step(step: Step, phrasing: Phrasing, *, first: bool) -> str:
    said = "" if first else "then "
    if step.optional:
        said += "perhaps "
    if step.next:
        said += "as the very next thing "
    members = _members(step)
    shared = {phrasing.beside(member) for member in members}
    if members:
        said += "does all of these, in any order" if step.all_of else "does one of these"
        said += shared.copy().pop() if len(shared) == 1 else ""
    elif step.condition is not None:
        said += phrasing.condition(step.condition, third)
    said += "".join(_extras(step, phrasing)) + (f'  ("{step.name}")' if step.name else "")
    for member in members:
        act = (
            phrasing.act(member, third) if len(shared) == 1 and not member.any_of else phrasing.condition(member, third)
        )
        said += f"\n       - {act}"
    return said


def _members(step: Step) -> Sequence[Condition]:
    """The conditions that get a line of their own: several that hold more than actions."""
    if step.all_of:
        return step.all_of
    members = alternatives(step.condition) if step.condition is not None else ()
    several = len(members) > 1 and any(member != Condition(member.action) for member in members)
    return members if several else ()


def _extras(step: Step, phrasing: Phrasing) -> Iterator[str]:
    if step.sum is not None:
        yield f", again and again until {property_words(step.sum.of)} adds up to {step.sum.at_least}"
    if not step.times.once:
        yield f", {_times(step.times)}"
    if step.distinct_by is not None:
        yield f", each time with another {_one(step.distinct_by)}"
    if step.until is not None:
        yield f", as long as they do not {phrasing.condition(step.until)}"
    after = f"{lasting(step.after_ms)} or more" if step.after_ms is not None else ""
    within = f"less than {lasting(step.within_ms)}" if step.within_ms is not None else ""
    if after or within:
        yield f", {' and '.join(filter(None, (after, within)))} after what came before"


def _one(path: str) -> str:
    return f"value of {property_words(path)}" if "[]" in path else path


def _times(times: Times) -> str:
    least, most = times.at_least, times.at_most
    if most is None:
        return "any number of times, or not at all" if least == 0 else f"{_count(least)} or more"
    if least == most:
        return _count(least)
    return f"up to {_count(most)}, or not at all" if least == 0 else f"{least} to {_count(most)}"


def _count(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _responses(listener: Listener) -> Iterator[str]:
    if not listener.then:
        yield "  - does nothing but write the match down"
    phrasing = Phrasing(listener)
    for response in listener.then:
        only = "" if response.only is None else f', for the people of variant "{response.only}" alone'
        yield f"  - {_RESPONSES[response.do](response, phrasing)}{only}"


def _name(template: Template | None, phrasing: Phrasing) -> str:
    if template is None:
        return ""
    holes = [
        phrasing.reference(part) if isinstance(part, Reference) else "the name of their variant"
        for part in template.parts
        if not isinstance(part, str)
    ]
    made = f" (made with {listed(holes, 'and')})" if holes else ""
    return f'the list "{template.text}"{made}'


_RESPONSES: Final[Mapping[Do, Callable[[Response, Phrasing], str]]] = {
    Do.MOVE: lambda each, phrasing: (
        f"moves them from {_name(each.from_list, phrasing)} to {_name(each.to_list, phrasing)} at {each.at}"
    ),
    Do.ADD: lambda each, phrasing: f"adds them to {_name(each.to_list, phrasing)} at {each.at}",
    Do.REMOVE: lambda each, phrasing: f"removes them from {_name(each.from_list, phrasing)} at {each.at}",
    Do.TAG: lambda each, phrasing: f'gives them the tag "{each.tag}" at {each.at}',
    Do.UNTAG: lambda each, phrasing: f'takes the tag "{each.tag}" from them at {each.at}',
    Do.WEBHOOK: lambda each, phrasing: f"calls {each.url}",
}


def _terms(listener: Listener) -> Iterator[str]:
    if listener.within_ms is not None:
        yield f"All of it happens in less than {lasting(listener.within_ms)}."
    if listener.scope is Scope.SESSION:
        yield "All of it happens in one visit."
    if listener.per is not None:
        yield f"Every {_one(listener.per)} is watched by itself."
    if listener.trust in {"token", "server"}:
        sure = "a mail's link or the server" if listener.trust == "token" else "the server"
        yield f"Only what {sure} vouches for counts."
    for each in listener.memberships:
        yield f"It happens only to somebody {in_words(each)} at each step."
    if listener.repeat is Repeat.ONCE:
        yield "It happens to a person once."
    elif listener.repeat is Repeat.COOLDOWN:
        yield f"It happens to a person again at the earliest {lasting(listener.cooldown_ms or 0)} later."
    else:
        yield "It can happen to a person again and again."
    if listener.holdout:
        yield f"To {as_percent(listener.holdout)} of all people it only happens on paper: they are held out."
    if listener.variants:
        shares = listed((f'{as_percent(part)} to variant "{name}"' for name, part in listener.variants), "and")
        yield f"Of all people {shares} belong."
    if any(_is_made(response) for response in listener.then):
        yield f"At most {listener.max_lists} different lists are made."
    if listener.then:
        yield (
            "If it turns out not to hold, it is undone." if listener.undo else "If it turns out not to hold, it stays."
        )


def _is_made(response: Response) -> bool:
    return any(template is not None and template.is_made for template in (response.to_list, response.from_list))
