"""HTML without a template engine: what is inserted is escaped unless it is :class:`Html` already."""

from __future__ import annotations

from html import escape


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def html(template: str, **parts: str | Html) -> Html:
    """``template`` (a literal of ours) with ``{names}`` filled in, everything escaped but :class:`Html`."""
    safe = {name: part if isinstance(part, Html) else escape(part) for name, part in parts.items()}
    return Html(template.format(**safe))


def joined(parts: list[Html]) -> Html:
    """Several pieces after each other."""
    return Html("".join(parts))
