"""What lint says of generated listeners holds on generated streams, and the schema takes what the parser takes."""

from __future__ import annotations

import re
from collections import Counter
from random import Random

import pytest
from jsonschema import Draft202012Validator

from contracts.errors import ListenerError
from flows.derived.sessions import extended
from flows.language.describe import describe
from flows.language.lint import LintFinding, Rule, lint
from flows.language.model import Listener, Step
from flows.language.schema import listener_schema
from flows.machine.machine import Machine, Match
from tests.properties.generate import GAP_MS, listener_data, parsed, stream

pytestmark = pytest.mark.slow
SCHEMA = Draft202012Validator(listener_schema())


def matches(listener: Listener, random: Random) -> list[Match]:
    machine, session, found = Machine([listener]), None, list[Match]()
    state = machine.start("s")
    for event in stream(random):
        session = extended(session, event, gap_ms=GAP_MS)
        state, done = machine.apply(state, event, session)
        found.extend(done)
    return found + list(machine.advance(state, 10**9)[1])


def contradicts(finding: LintFinding, listener: Listener, match: Match) -> bool:
    """Whether a match shows that a finding is wrong."""
    if finding.rule is not Rule.NEVER_TAKES_PART:
        return finding.rule is Rule.NEVER_MATCHES
    number = re.match(r"sequence\[(\d+)\]", finding.field)
    assert number is not None
    step = listener.step(int(number[1]))
    assert isinstance(step, Step)
    allowed = step.times.at_least if finding.field.endswith(".times") else 0
    return len(match.steps.get(step.key, ())) > allowed


def test_a_finding_never_meets_a_match_that_contradicts_it() -> None:
    rules: Counter[Rule] = Counter()
    for seed in range(1_500):
        random = Random(seed)
        data = listener_data(random)
        try:
            listener = parsed(data)
        except ListenerError:
            continue
        assert SCHEMA.is_valid(data), data
        assert describe(listener).startswith("generated, version ")
        findings = lint([listener])
        rules.update(finding.rule for finding in findings)
        if {Rule.NEVER_MATCHES, Rule.NEVER_TAKES_PART} & {finding.rule for finding in findings}:
            found = [match for _ in range(6) for match in matches(listener, random)]
            wrong = [finding for finding in findings for match in found if contradicts(finding, listener, match)]
            assert wrong == [], data
    assert rules[Rule.NEVER_MATCHES] > 20
    assert rules[Rule.NEVER_TAKES_PART] > 100
