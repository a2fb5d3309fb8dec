"""The topics of the log and the formats of their records as AsyncAPI 3.0, for people who read them with other tools."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, get_args

import msgspec

from cli import __version__
from contracts.codec import Value
from contracts.rows import Row
from contracts.topics import ROWS, Topic, account_topics, fixed_topics

BINDING: Final = "0.5.0"
KINDS: Final = {"JSON": "application/json", "MessagePack": "application/msgpack"}


def asyncapi(about: Mapping[str, str], records: list[type[Value]]) -> dict[str, Any]:
    """The description. ``about``: what is said of each topic; the names of ``records`` in it are its values' types."""
    _, schemas = msgspec.json.schema_components(records, ref_template="#/components/schemas/{name}")
    known = {each.__name__ for each in records}
    topics = {topic.name: (topic, about[topic.name]) for topic in fixed_topics()}
    live, behind = account_topics("{workspace}", "{account}")
    topics["moves"] = (live, "Key: the subscriber. Value: `Command` (JSON): live commands.")
    topics["backfill"] = (behind, "Key: the subscriber. Value: `Command` (JSON), behind the live ones.")
    channels = {name: channel(name, topic, text, known) for name, (topic, text) in topics.items()}
    messages = {name: message(name, channels) for name in sorted(set().union(*map(values_of, channels.values())))}
    operations = {
        f"write_{name}": {
            "action": "send",
            "channel": {"$ref": f"#/channels/{name}"},
            "summary": "Segma alone writes it.",
        }
        for name in channels
    }
    info = {"title": "The topics of Segma's log", "version": __version__, "description": "Made from the code."}
    return {
        "asyncapi": "3.0.0",
        "info": info,
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": dict(sorted(schemas.items()))},
    }


def channel(name: str, topic: Topic, text: str, known: set[str]) -> dict[str, Any]:
    """One topic: its address, its messages, its shape in Kafka."""
    values = [each.__name__ for each in get_args(Row)] if name == ROWS else re.findall(r"`(\w+)`", text)
    values = [value for value in values if value in known]
    parts = re.findall(r"{(\w+)}", topic.name)
    kept = {"cleanup.policy": ["compact" if topic.compacted else "delete"], "retention.ms": topic.retention_ms}
    if topic.compacted:
        del kept["retention.ms"]
    shape = {"partitions": topic.partitions, "topicConfiguration": kept, "bindingVersion": BINDING}
    made: dict[str, Any] = {"address": topic.name, "description": text}
    made["messages"] = {value: {"$ref": f"#/components/messages/{value}"} for value in values}
    if parts:
        made["parameters"] = {part: {"description": f"A name in segma.yaml: the {part}'s."} for part in parts}
    return made | {"bindings": {"kafka": shape}}


def values_of(described: Mapping[str, Any]) -> set[str]:
    """The names of a topic's messages."""
    return set(described["messages"])


def message(name: str, channels: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """One record type, in the coding of the topics that hold it."""
    texts = [each["description"] for each in channels.values() if name in each["messages"]]
    coding = next(kind for word, kind in KINDS.items() if f"({word})" in texts[0])
    return {"name": name, "contentType": coding, "payload": {"$ref": f"#/components/schemas/{name}"}}
