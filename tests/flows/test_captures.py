"""What listeners need of the pages, from their conditions to the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from contracts.actions import ASKED_FOR, VOCABULARY
from contracts.captures import Captures, CaptureValue, allowed
from contracts.codec import json_reader
from contracts.log import Log
from contracts.topics import CAPTURES, fixed_topics
from contracts.versions import ListenerVersion, ended
from flows.language.captures import captures_of
from flows.language.model import Listener
from flows.language.parse import parse_listeners
from flows.subscriber.engine import WorkspaceEngine
from flows.subscriber.pinned_terms import Terms
from flows.versions.capture_requests import CaptureNotice
from flows.versions.deployment import Deployments, Versions
from transport import open_log
from transport.config import Settings


def listeners(*sequences: str) -> list[Listener]:
    text = "\n---\n".join(
        f"listener: l{number}\nsequence: {sequence}\nthen: [{{add: {{to: x, at: mailbox}}}}]"
        for number, sequence in enumerate(sequences)
    )
    return parse_listeners([("l.yaml", text.encode())], known_actions=VOCABULARY)


@pytest.mark.parametrize(
    ("sequence", "needed"),
    [
        ("[{action: key_pressed, where: {key: Escape}}]", {"key_pressed": ("Escape",)}),
        ("[{action: letter_typed, where: {letter: [x, help]}}]", {"letter_typed": ("help", "x")}),
        ("[{action: shortcut_pressed, where: {shortcut: {one_of: [ctrl+s]}}}]", {"shortcut_pressed": ("ctrl+s",)}),
        ("[{action: key_pressed}]", {"key_pressed": ()}),
        ("[{action: key_pressed, where: {key: 'F*'}}]", {"key_pressed": ()}),
        ("[{action: key_pressed, where: {key: {not_equals: Tab}}}]", {"key_pressed": ()}),
        ("[{action: mouse_over, where: {selector: img.product}}]", {"mouse_over": ("img.product",)}),
        ("[{action: mouse_pressed, where: {button: right}}]", {"mouse_pressed": ("*",)}),
        ("[{action: mouse_moved, where: {distance_px: {at_least: 10}}}]", {"mouse_moved": ()}),
        ("[{action: scrolled_past, where: {percent: {at_least: 40}}}]", {"scrolled_past": (40,)}),
        ("[{action: scrolled_past, where: {percent: {between: [30, 60]}}}]", {"scrolled_past": (30, 60)}),
        ("[{action: scrolled_past, where: {element: '#prices'}}]", {"scrolled_past": ("#prices",)}),
        ("[{any_of: [{action: content_copied}, page_viewed]}]", {"content_copied": ()}),
        ("[page_viewed, {not: key_pressed, where: {key: Tab}, for: 1m}]", {"key_pressed": ("Tab",)}),
        ("[{action: '*'}]", {}),
        ("[{action: page_viewed, where: {key: x}}]", {}),
    ],
)
def test_what_a_listener_names_is_what_a_page_must_look_for(sequence: str, needed: object) -> None:
    sequence = sequence.replace("[page_viewed,", "[{action: page_viewed},")
    assert captures_of(listeners(sequence)) == needed


def test_all_listeners_together() -> None:
    found = captures_of(
        listeners(
            "[{action: key_pressed, where: {key: b}}]",
            "[{action: key_pressed, where: {key: a}}, {action: hovered, where: {selector: '#buy'}}]",
        )
    )
    assert found == {"hovered": ("#buy",), "key_pressed": ("a", "b")}


def test_a_site_lets_through_what_it_allows_and_what_needs_no_leave() -> None:
    asked = dict.fromkeys(ASKED_FOR, ())
    assert set(allowed(asked, ())) == {"hovered", "scrolled_past"}
    assert set(allowed(asked, ("clipboard",))) == {"hovered", "scrolled_past", "content_copied", "content_pasted"}
    assert set(allowed(asked, ("keys", "mouse", "clipboard"))) == set(ASKED_FOR)
    assert allowed({"page_viewed": ()}, ("keys",)) == {}


def test_what_is_needed_travels_through_the_log_where_it_changes(tmp_path: Path) -> None:
    log = open_log(Settings(data=tmp_path))
    log.ensure(fixed_topics(1))
    notice = CaptureNotice(log)
    tab = listeners("[{action: key_pressed, where: {key: Tab}}]")
    assert notice.tell({"shop": tab, "bare": []})
    assert notice.tell({"shop": tab, "bare": []})
    assert notice.tell({"shop": [], "bare": []})
    records = log.reader(CAPTURES).poll(10)
    log.close()
    found = [json_reader(Captures)(record.value) for record in records if record.value]
    assert [each for each in found if each.workspace == "shop"][-1] == Captures("shop")
    assert len(found) <= 3


def version(text: str, number: int = 1) -> ListenerVersion:
    whole = f"listener: keyed\nversion: {number}\nsequence: [{text}]\nthen: [{{add: {{to: x, at: mailbox}}}}]\n"
    return ListenerVersion("shop", "keyed", number, whole, 0, 0)


def told(log: Log) -> dict[str, tuple[CaptureValue, ...]]:
    """What the newest record says that the shop's pages need."""
    values = [record.value for record in log.reader(CAPTURES).poll(100) if record.key == b"shop" and record.value]
    actions: dict[str, tuple[CaptureValue, ...]] = json_reader(Captures)(values[-1]).actions
    return actions


def test_pages_hear_of_a_listener_that_is_applied_and_of_one_that_ends(tmp_path: Path) -> None:
    log = open_log(Settings(data=tmp_path))
    log.ensure(fixed_topics(1))
    versions = Versions(log)
    engine = WorkspaceEngine("shop", terms=Terms(1, 1, 1, 1))
    refused = [False]
    notice = CaptureNotice(log)

    def trace(at_work: Mapping[str, Sequence[Listener]]) -> bool:
        return not refused[0] and notice.tell(at_work)

    deployments = Deployments(versions, {"shop": engine}, {"shop": frozenset()}, trace)
    assert told(log) == {}
    tab = version("{action: key_pressed, where: {key: Tab}}")
    Versions(log).write([tab])
    refused[0] = True
    deployments.refresh(1_000)
    assert told(log) == {}
    # What the log did not take is told again at the next look, though nothing has changed since.
    refused[0] = False
    deployments.refresh(2_000)
    assert told(log) == {"key_pressed": ("Tab",)}
    Versions(log).write(ended([tab], "shop", "keyed", 3_000))
    deployments.refresh(4_000)
    assert told(log) == {}
    log.close()
