"""Golden transcripts of ``explain``: each run's life, and what ended it, for ten of the example listeners.

``python -m tests.flows.test_explain`` writes them anew; read the difference before it is kept.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

import pytest

from flows.language.files import load_listeners
from flows.machine.machine import Machine
from flows.replay.explain import explain
from tests.flows.streams import GAP_MS, run, sequence, stream

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).parent / "golden" / "explain"
LISTENERS = {each.name: each for each in load_listeners(ROOT / "listeners", ROOT / "listeners" / "actions.yaml")}

STREAMS: Final[dict[str, tuple[str, float]]] = {
    # A `not` kills; a loop restarts the wait; a deadline matches.
    "basket-abandoned": ("product_added@0 product_bought@5 product_added@20 product_added@30", 60),
    # A step's own `within`, the whole sequence's, correlated values, a `not` at the end.
    "spring-basket-abandoned": (
        'email_clicked@0{"campaign":"spring-a"} page_viewed@60{"path":"/shoes/1","category":"boots"} '
        'page_viewed@120{"path":"/shoes/2","category":"boots"} product_added@180{"value":20,"category":"boots"} '
        'product_added@240{"value":80,"category":"boots"} product_bought@300 '
        'email_clicked@4000{"campaign":"spring-b"} page_viewed@4060{"path":"/shoes/1","category":"clogs"} '
        'page_viewed@4120{"path":"/shoes/2","category":"clogs"} product_added@6000{"value":80,"category":"clogs"} '
        'email_clicked@8000{"campaign":"spring-c"} page_viewed@15300{"path":"/shoes/1","category":"clogs"}',
        16_000,
    ),
    # A `not` in the middle, and `once`.
    "form-given-up": (
        'field_focused@0{"form":"contact"} form_submitted@60{"form":"contact"} field_focused@100{"form":"contact"} '
        'form_filled@110{"form":"contact","field":"name"} form_filled@120{"form":"contact","field":"name"} '
        'form_filled@130{"form":"contact","field":"city"} field_focused@900{"form":"contact"}',
        5_000,
    ),
    # `until`, `distinct_by` and the end of a session.
    "compared-products": (
        'page_viewed@0{"path":"/products/a"} page_viewed@10{"path":"/products/a"} product_added@20 '
        'page_viewed@30{"path":"/products/b"} page_viewed@2000{"path":"/products/c"} '
        'page_viewed@2010{"path":"/products/d"} page_viewed@2020{"path":"/products/e"}',
        2_100,
    ),
    # A first `not` forbids that a run opens; a cooldown ignores a completion.
    "came-back": ("email_clicked@0 email_clicked@5 page_viewed@10 email_clicked@20 email_clicked@2700000", 2_700_000),
    # Correlated values: each has its own machine.
    "cheaper-choice": (
        'product_added@0{"category":"boots","sku":"b1","value":90} '
        'product_added@10{"category":"hats","sku":"h1","value":30} '
        'product_added@20{"category":"boots","sku":"b1","value":70} '
        'product_added@30{"category":"hats","sku":"h2","value":20}',
        100,
    ),
    # `next`.
    "looks-for-help": (
        'searched@0{"query":"refund"} page_viewed@5{"path":"/faq"} searched@10{"query":"a refund"} '
        'page_viewed@15{"path":"/contact"} page_viewed@20{"path":"/"} searched@30{"query":"refund"} '
        'page_viewed@40{"path":"/contact"}',
        2_000,
    ),
    # `all_of` whose set was not complete in time.
    "ready-to-buy": (
        'email_clicked@0 page_viewed@10{"path":"/shipping"} product_added@20 page_viewed@3700{"path":"/terms"} '
        'email_clicked@4000 product_added@4010 page_viewed@4020{"path":"/terms"} page_viewed@4030{"path":"/shipping"}',
        9_000,
    ),
    # A first `not ... for: ever`, and a listener that is done.
    "first-purchase": ("page_viewed@0!server product_bought@10!server product_bought@20!server", 30),
    # `per`: a machine for each product.
    "product-left-behind": (
        'product_added@0{"sku":"a"} product_added@10{"sku":"b"} product_bought@20{"sku":"a"} product_added@30',
        9_000,
    ),
}


def transcript(name: str) -> str:
    """What ``segma explain`` prints for the listener's stream."""
    text, until = STREAMS[name]
    return explain(LISTENERS[name], stream(text), final_ms=round(until * 1_000), session_gap_ms=GAP_MS) + "\n"


@pytest.mark.parametrize("name", STREAMS)
def test_the_transcript_is_the_golden_one(name: str) -> None:
    assert transcript(name) == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", STREAMS)
def test_explaining_changes_no_answer(name: str) -> None:
    text, until = STREAMS[name]
    _, found = run(Machine([LISTENERS[name]]), stream(text), until)
    said = [line for line in transcript(name).splitlines() if line.startswith("Match ")]
    assert [line.split()[1] for line in said] == [match.match_id for match in found]


def test_a_subscriber_whom_nothing_fitted_is_told_so() -> None:
    text = explain(sequence("step: first, action: a", "action: b"), stream("b@1"), final_ms=None, session_gap_ms=GAP_MS)
    assert "No run opened: no event fitted step 1 `first` (a)." in text


def test_a_match_is_told_with_its_identity() -> None:
    text = explain(sequence("action: a"), stream("a@1"), final_ms=None, session_gap_ms=GAP_MS)
    assert hashlib.sha256(b'["l",1,"s",["1"]]').hexdigest()[:32] in text


def write() -> None:
    """Write the golden transcripts."""
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for name in STREAMS:
        (GOLDEN / f"{name}.txt").write_text(transcript(name), encoding="utf-8")


if __name__ == "__main__":
    write()
