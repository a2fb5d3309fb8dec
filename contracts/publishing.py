"""Publishing until the log has it: for what was taken over and may never be dropped."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from contracts.errors import LogError, LogUnavailable
from contracts.log import Outgoing, Publisher, PublishOutcome


def publish_until_stored(
    publisher: Publisher, records: Sequence[Outgoing], wait: Callable[[int, LogUnavailable], None]
) -> None:
    """Publish records in their order, again and again for as long as the log is away.

    Args:
        publisher: Where to.
        records: What; those of one topic stay in order, and one may be in the log twice.
        wait: Called between two attempts with the number of records that wait and the log's word; it pauses.

    Raises:
        LogError: one that waiting does not mend, such as :class:`UnknownTopic`.
    """
    waiting = list(records)
    while waiting:
        waiting, fault = _unstored(waiting, publisher.publish(waiting))
        if fault is not None:
            wait(len(waiting), fault)


def _unstored(
    records: Sequence[Outgoing], outcomes: Sequence[PublishOutcome]
) -> tuple[list[Outgoing], LogUnavailable | None]:
    """Return the records to publish again: of each topic everything from its first fault on, so its order holds."""
    faulty: set[str] = set()
    waiting = []
    fault: LogUnavailable | None = None
    for record, outcome in zip(records, outcomes, strict=True):
        if isinstance(outcome, LogError):
            if not isinstance(outcome, LogUnavailable):
                raise outcome
            faulty.add(record.topic)
            fault = fault or outcome
        if record.topic in faulty:
            waiting.append(record)
    return waiting, fault
