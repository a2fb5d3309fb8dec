"""The answer of a back-test as one page of HTML that needs nothing else. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Final

from cli.backtesting.result import Result
from cli.backtesting.words import KINDS, drained_in_words, moment
from flows.backtest.answer import Comparison

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}"
    "table{border-collapse:collapse;margin:1rem 0}td,th{padding:.2rem .8rem .2rem 0;text-align:left}"
    "td.n{text-align:right;font-variant-numeric:tabular-nums}svg{width:100%;height:9rem}rect{fill:#4a7ab5}"
    "li{margin:.3rem 0}small{opacity:.7}"
)


def page(result: Result) -> str:
    """The page."""
    answer, plan = result.answer, result.plan
    waiting = [
        (result.waits_for(version, element), f"{element} of {elements}", f"{runs:,}")
        for (version, element, elements), runs in sorted(answer.waiting.items())
    ]
    near = [
        (
            each.subscriber,
            result.waits_for(each.waiting.version[1], each.waiting.element),
            moment(each.waiting.opened_ms),
        )
        for each in answer.nearest
    ]
    lists = [(account, name, f"{people:,}") for (account, name, _), people in answer.lists.most_common()]
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(result.name)}</title><style>{_STYLE}</style>",
        f"<h1>{escape(result.name)} over the past</h1><p>Up to {moment(plan.until_ms)} UTC: <b>{answer.matches:,}</b> "
        f"matches of <b>{answer.people:,}</b> people; {answer.taken_back:,} came and were taken back.</p>",
        _bars(answer.days),
        _table("In a list at the end", ("account", "list or tag", "people"), lists),
        _table("Of them now in", ("list", "also in", "people"), _overlap(result)),
        _table("Runs in flight", ("wait for", "step", "runs"), waiting),
        _table("Nearest misses", ("person", "waits for", "since (UTC)"), near),
        _compared(result.comparison) if result.comparison else "",
        _list(
            "How long the accounts would take", [f"{name}: {drained_in_words(e)}" for name, e in result.drains.items()]
        ),
        _list("Notes", result.notes),
        "</html>\n",
    ]
    return "\n".join(part for part in parts if part)


def _overlap(result: Result) -> list[tuple[str, str, str]]:
    return [(mine, other, f"{people:,}") for (mine, other), people in result.overlap.most_common()]


def _bars(days: Mapping[str, int]) -> str:
    """The matches of each day as bars."""
    if not days:
        return "<p>No match.</p>"
    ordered, top = sorted(days.items()), max(days.values())
    step = 1_000 / len(ordered)
    bars = "".join(
        f'<rect x="{number * step:.1f}" y="{100 - 100 * count / top:.1f}" width="{max(step - 2, 1):.1f}" '
        f'height="{100 * count / top:.1f}"><title>{escape(day)}: {count:,}</title></rect>'
        for number, (day, count) in enumerate(ordered)
    )
    caption = f"<small>Matches a day, {escape(ordered[0][0])} to {escape(ordered[-1][0])}, at most {top:,}</small>"
    box = 'viewBox="0 0 1000 100" preserveAspectRatio="none" role="img" aria-label="matches a day"'
    return f"<svg {box}>{bars}</svg>{caption}"


def _table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}' for cell in row[:-1])}<td class=n>{escape(row[-1])}" for row in rows
    )
    return f"<h2>{title}</h2><table><tr>{''.join(f'<th>{name}' for name in head)}{body}</table>" if body else ""


def _list(title: str, items: Iterable[str]) -> str:
    body = "".join(f"<li>{escape(item)}" for item in items)
    return f"<h2>{title}</h2><ul>{body}</ul>" if body else ""


def _compared(comparison: Comparison) -> str:
    rows = [(words, f"{comparison.people[kind]:,}") for kind, words in KINDS.items()]
    stories = [
        f"<h3>{escape(told.found.subscriber)} <small>{words}</small></h3><ol>"
        + "".join(f"<li>{moment(e.at_ms)} {escape(e.what)} <small>{escape(e.detail)}</small>" for e in told.story)
        + "</ol>"
        for kind, words in KINDS.items()
        for told in comparison.examples.get(kind, ())
    ]
    return _table("Against the other version", ("matched by", "people"), rows) + "".join(stories)
