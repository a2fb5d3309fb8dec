"""A listener's description as one sentence, as the page of all listeners has it."""

from __future__ import annotations

import pytest

from console.board import Shown
from contracts.actions import VOCABULARY
from contracts.versions import ListenerVersion
from flows.language.describe import describe
from flows.language.parse import parse_listeners

ADDS = "\nthen: [{add: {to: a, at: m}}]"
SENTENCES = {
    "sequence: [{step: a, action: email_clicked}, {not: product_bought, for: 8s}]" + ADDS: (
        "When a person follows a link in a mail, and does not buy a product within 8 seconds after that: "
        'Segma adds them to the list "a" at m.'
    ),
    "sequence: [{action: email_opened}]\nthen: [{add: {to: a, at: m}}, {tag: {add: t, at: m}}]": (
        'When a person opens a mail: Segma adds them to the list "a" at m and gives them the tag "t" at m.'
    ),
    "sequence: [{any_of: [{action: key_pressed, where: {key: a}}, pdf_viewed, video_played, searched]}]" + ADDS: (
        'When a person does one of these (presses a key where the key is "a"; opens a PDF; watches a video; …): '
        'Segma adds them to the list "a" at m.'
    ),
}


@pytest.mark.parametrize("text", SENTENCES)
def test_a_description_is_one_sentence(text: str) -> None:
    (listener,) = parse_listeners([("a.yaml", f"listener: a\n{text}".encode())], known_actions=VOCABULARY)
    version = ListenerVersion("demo", "a", 1, text, 0)
    assert Shown(version, "live", describe(listener)).sentence == SENTENCES[text]


def test_what_cannot_be_read_has_none() -> None:
    assert Shown(ListenerVersion("demo", "a", 1, "", 0), "live", "").sentence == ""
