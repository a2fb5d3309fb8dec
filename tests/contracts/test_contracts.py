from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import beacons, commands, events, rows
from contracts.actions import ACTIONS, GESTURE, VOCABULARY, fitting, known_actions
from contracts.codec import depth_exceeds, json_reader, msgpack_reader, to_json, to_msgpack
from contracts.errors import BadRecord, ConfigError
from contracts.installation import check_installation, duration_ms
from contracts.reasons import Reason
from contracts.topics import fixed_topics, group_of, moves_topic, partition_of, subscriber_key

GOLDEN = Path(__file__).parent / "golden"

REF = commands.EventRef("e1", "page_viewed", 1_000)
EVENT = events.Event(
    "demo",
    "s_1",
    "e1",
    "page_viewed",
    1_000,
    7,
    {"path": "/shoes/a", "n": 1, "deep": {"list": [1, None, "é"]}},
    trust=events.Trust.TOKEN,
    stitched=True,
    site="shop",
    device="d1",
    received_at_ms=1_100,
    log_time_ms=1_101,
    partition=3,
    offset=12,
)
COMMAND = commands.Command(
    "c" * 32,
    "demo",
    "mailbox",
    "s_1",
    commands.Verb.MOVE,
    "basket-abandoned",
    3,
    "m" * 32,
    0,
    31_000,
    to_list="basket",
    from_list="newsletter",
    evidence={"clicked": (REF,), "2": (REF, REF)},
    log_time_ms=33_000,
    received_at_ms=1_100,
)
SAMPLES: dict[str, tuple[Any, Any]] = {
    "event": (EVENT, events.EventsRecord),
    "log_time": (events.LogTime(2, 5_000), events.EventsRecord),
    "beacon_record": (
        beacons.BeaconRecord(
            "demo", "shop", beacons.Source.SDK, 1_100, b"{}", device="d1", subscriber="s_1", skew_ms=-4
        ),
        beacons.BeaconRecord,
    ),
    "command": (COMMAND, commands.Command),
    "outcome": (
        commands.Outcome("c" * 32, "demo", "mailbox", "s_1", commands.Result.APPLIED, 33_100, changed=("+basket",)),
        commands.Outcome,
    ),
    "event_row": (rows.EventRow(EVENT, "x1", "late"), rows.Row),
    "session_row": (rows.SessionRow("demo", "s_1", "x1", 1, 2, 3, "/", "spring", ("x0",)), rows.Row),
    "match_row": (rows.MatchRow("match", "demo", "s_1", "l", 1, "m" * 32, 5, {"1": (REF,)}), rows.Row),
    "command_row": (rows.CommandRow(COMMAND), rows.Row),
    "runs_row": (rows.RunsRow("demo", 3, 7, 60_000, (rows.RunCount("l", 1, 2, 3, "2", "basket", 4, 3),)), rows.Row),
    "audit_row": (rows.AuditRow("demo", "mara", rows.Act.LOOKED_UP, 5, "a1", "s_1", "looked@1"), rows.Row),
    "membership_row": (rows.MembershipRow("demo", "mailbox", "newsletter", "s_1", True, 5), rows.Row),
    "dead_letter": (
        rows.DeadLetter("too_large", "http", -1, -1, 5, "detail", "demo", value=b"\xff", size=1),
        rows.DeadLetter,
    ),
    "directory_entry": (rows.DirectoryEntry("demo", "s_1", "ada@example.com", "Ada"), rows.DirectoryEntry),
}
BINARY = {"beacon_record", "dead_letter"}


@pytest.mark.parametrize("name", SAMPLES)
def test_bytes_of_the_first_release_decode_for_ever(name: str) -> None:
    """GOLDEN: never rewrite these files; add a folder for each schema that changes."""
    value, kind = SAMPLES[name]
    path = GOLDEN / "1" / f"{name}.{'msgpack' if name in BINARY else 'json'}"
    read = msgpack_reader(kind) if name in BINARY else json_reader(kind)
    assert read(path.read_bytes()) == value


@pytest.mark.parametrize("name", SAMPLES)
def test_every_record_carries_its_schema(name: str) -> None:
    encoded = json.loads(to_json(SAMPLES[name][0]))
    assert encoded["schema"] == 1


@pytest.mark.parametrize("name", SAMPLES)
def test_a_newer_schema_is_refused_not_guessed(name: str) -> None:
    value, kind = SAMPLES[name]
    newer = {**json.loads(to_json(value)), "schema": 2}
    with pytest.raises(BadRecord) as caught:
        json_reader(kind)(to_json(newer))
    assert caught.value.reason is Reason.NEWER_SCHEMA


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b'{"type":"event"}', b"\xff\xfe", b'{"type":"nonsense"}'])
def test_rubbish_is_undecodable(data: bytes) -> None:
    with pytest.raises(BadRecord) as caught:
        json_reader(events.EventsRecord)(data)
    assert caught.value.reason is Reason.UNDECODABLE


def test_no_value_from_outside_stands_in_an_error() -> None:
    with pytest.raises(BadRecord) as caught:
        json_reader(commands.Command)(b'{"command_id": ["ada@example.com"]}')
    assert "ada" not in str(caught.value)


@pytest.mark.slow
@given(
    st.recursive(
        st.none() | st.integers() | st.text('[]{}"\\a'), lambda inner: st.lists(inner, max_size=3), max_leaves=30
    )
)
def test_depth_is_seen_without_parsing(value: object) -> None:
    def depth(item: object) -> int:
        return 1 + max(map(depth, item), default=0) if isinstance(item, list) else 0

    data = json.dumps(value).encode()
    for limit in range(6):
        assert depth_exceeds(data, limit) == (depth(value) > limit)


def test_equal_values_are_equal_bytes_whatever_the_order_of_their_keys() -> None:
    one, other = {"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3, "c": 2}, "a": 1}
    assert to_json(one) == to_json(other)
    assert to_msgpack(one) == to_msgpack(other)


def test_partitions_and_groups_are_the_same_on_every_machine() -> None:
    # GOLDEN: a changed value here would scatter every subscriber's state.
    assert [partition_of(b"demo/s_1", 4), partition_of(b"demo/s_2", 32), group_of(b"demo/s_1", 4, 64)] == [2, 8, 44]


def test_groups_are_even_within_each_partition() -> None:
    keys = [subscriber_key("demo", f"s_{number}") for number in range(20_000)]
    counts = [0] * 4 * 16
    for key in keys:
        counts[partition_of(key, 4) * 16 + group_of(key, 4, 16)] += 1
    assert min(counts) > 220
    assert max(counts) < 420


def test_topics_have_unique_names() -> None:
    names = [topic.name for topic in fixed_topics()] + [moves_topic("demo", "mailbox")]
    assert len(names) == len(set(names))


def test_the_vocabulary_is_the_designs() -> None:
    assert len(VOCABULARY) == len(ACTIONS) == 43
    assert known_actions(["coupon_revealed"]) == VOCABULARY | {"coupon_revealed"}


def test_a_listener_on_any_click_fits_the_more_specific_gestures_too() -> None:
    assert fitting("page_clicked") == GESTURE
    assert fitting("button_clicked") == ("button_clicked",)


@pytest.mark.parametrize(
    ("text", "ms"), [("250ms", 250), ("10s", 10_000), ("30m", 1_800_000), ("2h", 7_200_000), ("7d", 604_800_000)]
)
def test_durations(text: str, ms: int) -> None:
    assert duration_ms(text) == ms


@pytest.mark.parametrize("text", ["", "0s", "-1s", "1", "1 s", "1.5h", "1w", "10S", "1h30m", "٣s", "9" * 16 + "s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="whole number"):
        duration_ms(text)


GOOD: dict[str, Any] = {
    "token_keys": {"env": "KEYS"},
    "workspaces": {
        "demo": {
            "secret": {"file": "secret"},
            "sites": {"shop": {"key": "demo-shop", "origins": ["http://127.0.0.1:1"]}},
            "accounts": {"mailbox": {"sink": "file", "options": {"path": "lists"}}},
        }
    },
}


def test_a_good_installation_has_its_defaults() -> None:
    workspace = check_installation(GOOD, where="segma.yaml").workspaces["demo"]
    assert (workspace.session_gap, workspace.lateness, workspace.grace) == (1_800_000, 600_000, 2_000)
    assert workspace.sites["shop"].max_body_bytes == 65_536


def test_every_problem_of_an_installation_is_named_at_once() -> None:
    bad = {
        "token_keys": {},
        "workspaces": {"Demo!": {"secret": {"env": "A", "file": "b"}, "session_gap": "soon", "colour": 1}},
        "partitions": 0,
    }
    with pytest.raises(ConfigError) as caught:
        check_installation(bad, where="segma.yaml")
    fields = {problem.field for problem in caught.value.problems}
    assert {"token_keys", "partitions"} <= fields
    assert {"workspaces.Demo!.secret", "workspaces.Demo!.session_gap", "workspaces.Demo!.colour"} <= fields
    assert all(problem.where == "segma.yaml" for problem in caught.value.problems)


@pytest.mark.parametrize(
    "settings",
    [
        {"token_param": "utm_campaign"},
        {"click_param": "sgm"},
        {"token_param": ""},
        {"token_param": "a&b"},
        {"campaign_param": "käse"},
        {"max_body_bytes": 2_000_000},
        {"rate_per_s": float("inf")},
        {"rate_per_s": float("nan")},
        {"redirect_hosts": ["https://shop.example"]},
        {"redirect_hosts": ["*.shop.example"]},
    ],
)
def test_settings_of_a_site_that_could_never_work_are_refused_by_name(settings: dict[str, Any]) -> None:
    raw = json.loads(json.dumps(GOOD))
    raw["workspaces"]["demo"]["sites"]["shop"] |= settings
    with pytest.raises(ConfigError, match=r"workspaces\.demo\.sites\.shop"):
        check_installation(raw, where="segma.yaml")


def test_two_sites_with_one_key_are_refused() -> None:
    raw = json.loads(json.dumps(GOOD))
    raw["workspaces"]["demo"]["sites"]["blog"] = {"key": "demo-shop"}
    with pytest.raises(ConfigError, match="demo-shop"):
        check_installation(raw, where="segma.yaml")
