"""A log of Kafka that is let go leaves no client behind, whether or not cycles are collected."""

from __future__ import annotations

import gc
import time
import weakref
from pathlib import Path

from transport.config import Settings
from transport.kafka.topics import KafkaTopics


def test_a_log_that_is_let_go_takes_its_client_along(tmp_path: Path) -> None:
    topics = KafkaTopics(Settings(data=tmp_path, kafka_servers="127.0.0.1:1"), time.monotonic)
    client = weakref.ref(topics._admin)
    assert client() is not None
    gc.disable()
    try:
        del topics
        assert client() is None
    finally:
        gc.enable()
