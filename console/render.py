"""Templates and their languages: Jinja2 with every value escaped, and a catalogue a language beside English."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

HERE: Final = Path(__file__).parent
LANGUAGES: Final = ("en", "de")
"""The first is the one that the templates are written in."""


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """English → the language, of every text of the templates."""
    if language == LANGUAGES[0]:
        return {}
    found: dict[str, str] = yaml.safe_load((HERE / "catalogues" / f"{language}.yaml").read_text("utf-8"))
    return found


def translator(language: str) -> Callable[..., str]:
    """The function ``_`` of a template: a text in the language, with ``{names}`` filled in."""
    texts = catalogue(language)

    def translate(text: str, /, **values: object) -> str:
        found = texts.get(text, text)
        return found.format(**values) if values else found

    return translate


def language_of(accepted: str) -> str:
    """The first language of an ``Accept-Language`` that the console has; browsers put the one they like best first."""
    wanted = [each.partition(";")[0].strip().lower().partition("-")[0] for each in accepted[:200].split(",")]
    return next((each for each in wanted if each in LANGUAGES), LANGUAGES[0])


def moment(at: datetime | int | None) -> str:
    """An instant (or milliseconds since the epoch) as text, UTC, to the second; nothing for none."""
    if at is None:
        return ""
    when = at if isinstance(at, datetime) else datetime.fromtimestamp(at / 1_000, UTC)
    return when.strftime("%Y-%m-%d %H:%M:%S")


def beginning(at_ms: int | None) -> str:
    """As :func:`moment`, of a log time from which a version counts: 0 is before all."""
    return "∞" if at_ms == 0 else moment(at_ms)


def short(subscriber: str) -> str:
    """The start of an opaque id: enough to tell people on one page apart."""
    return subscriber if len(subscriber) <= 12 else f"{subscriber[:10]}…"


@cache
def environment(language: str) -> Environment:
    """The templates in one language. What a template misses is an error, not a gap."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["_"] = translator(language)
    made.globals["language"] = language
    made.filters |= {"moment": moment, "beginning": beginning, "short": short}
    return made


def rendered(template: str, language: str, values: Mapping[str, Any]) -> str:
    """A template, filled in."""
    return environment(language).get_template(template).render(values)
