"""The writer sends records alone that fit into no batch with others, with room for few of them at once."""

from __future__ import annotations

from queue import Queue
from typing import Any

import pytest
from confluent_kafka import KafkaError

from contracts.log import Outgoing, PublishOutcome, Stored
from transport.kafka.writer import KafkaWriter

PATIENCE_S = 20.0
COUNT = 60


class PickyWriter(KafkaWriter):
    """Hears of every batch that it was too large; what is sent alone is stored."""

    def _delivered(self, record: Outgoing, settle: Any, error: Any, message: Any, *, alone: bool = False) -> None:
        told = error if alone else KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
        super()._delivered(record, settle, told, message, alone=alone)


@pytest.fixture
def writer() -> KafkaWriter:
    # NOTE: the broker is librdkafka's own, in the process: a thread of it answers.
    config = {"test.mock.num.brokers": 1, "bootstrap.servers": "", "linger.ms": 1, "enable.idempotence": True}
    made = PickyWriter(config, "", lambda topic: 1, lambda topic: None, lambda: 0)
    made._alone_config["queue.buffering.max.messages"] = 2
    return made


def submitted(writer: KafkaWriter) -> Queue[list[PublishOutcome]]:
    heard = Queue[list[PublishOutcome]]()
    writer.submit([Outgoing("t", b"k", b"%d" % number, 0) for number in range(COUNT)], heard.put)
    return heard


def test_more_records_for_being_sent_alone_than_there_is_room_for_are_stored(writer: KafkaWriter) -> None:
    outcomes = submitted(writer).get(timeout=PATIENCE_S)
    assert [type(each) for each in outcomes] == [Stored] * COUNT
    writer.close()


def test_a_writer_that_is_closed_waits_for_what_it_sends_alone(writer: KafkaWriter) -> None:
    heard = submitted(writer)
    writer.close()
    assert [type(each) for each in heard.get_nowait()] == [Stored] * COUNT
