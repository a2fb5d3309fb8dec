from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from cli.actions import actions_command, sample_event, sample_listener
from contracts.action import Action
from contracts.actions import ACTIONS, VOCABULARY
from contracts.beacons import SentEvent
from contracts.codec import json_reader, to_json
from flows.language.parse import parse_listeners

BY_NAME = [pytest.param(action, id=action.name) for action in ACTIONS]


@pytest.mark.parametrize("action", BY_NAME)
def test_each_sample_event_is_one_that_the_wire_takes(action: Action) -> None:
    assert json_reader(SentEvent)(to_json(sample_event(action))).action == action.name


@pytest.mark.parametrize("action", BY_NAME)
def test_each_sample_listener_is_one_that_the_language_takes(action: Action) -> None:
    (parsed,) = parse_listeners([("sample.yaml", sample_listener(action).encode())], known_actions=VOCABULARY)
    assert parsed.name == f"on-{action.name.replace('_', '-')}"


@pytest.mark.parametrize("action", BY_NAME)
def test_what_is_not_captured_by_itself_says_which_call_sends_it(action: Action) -> None:
    from_a_page = not action.name.startswith(("email_", "list_", "tag_", "session_")) or action.automatic
    assert bool(action.markup) == from_a_page
    assert action.automatic or not action.markup or action.markup.startswith(f"segma.track('{action.name}'")


def test_every_action_is_printed_and_json_says_the_same() -> None:
    text = CliRunner().invoke(actions_command, []).output
    lines = CliRunner().invoke(actions_command, ["--json"]).output.splitlines()
    assert [json.loads(line)["action"] for line in lines] == [action.name for action in ACTIONS]
    assert all(action.name in text for action in ACTIONS)


def test_of_the_end_of_a_visit_nobody_is_told_to_send_it() -> None:
    text = CliRunner().invoke(actions_command, ["session_ended"]).output
    assert "made by the flow" in text
    assert "server API" not in text


def test_one_action_can_be_asked_for() -> None:
    assert json.loads(CliRunner().invoke(actions_command, ["page_viewed", "--json"]).output)["automatic"] is True


def test_an_unknown_name_gets_the_nearest_one() -> None:
    result = CliRunner().invoke(actions_command, ["page_view"])
    assert result.exit_code == 2
    assert "did you mean page_viewed?" in result.stderr
