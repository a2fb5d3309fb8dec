"""The devices of one partition of ``beacons``: their records in order, and the verdicts that log time brings.

Nothing is raised; bad records are set aside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from contracts.accounts import Veto
from contracts.beacons import BeaconRecord, Source
from contracts.codec import msgpack_reader, to_json, to_msgpack
from contracts.errors import BadRecord
from contracts.events import Event, LogTime
from contracts.log import Outgoing, Record
from contracts.membership import LIST_JOINED
from contracts.reasons import Reason
from contracts.topics import EVENTS, VETOES, fact_key, subscriber_key
from contracts.traces import Tracer
from flows.derived.joinings import joining_of
from flows.operators.dead_letters import dead_letter, failed, lost_state
from flows.operators.traced import tell_recognised
from flows.recognise import Device, Rules, recognise, released
from flows.state.changelog import Changelog, GroupPosition
from flows.state.recency import MAX_ANONYMOUS, MAX_ANONYMOUS_BYTES, LeastRecentlyUsed
from flows.state.rows import Input
from flows.state.store import StateStore
from flows.subscriber.limits import Limit, LimitHits

DEVICES: Final = "devices-"
"""How the changelog's groups of devices are called."""
LOG_TIME_EVERY_MS: Final = 100
"""How far the log time moves before ``recognise`` passes it on: deadlines are that much later, at most."""

_WEBHOOK: Final = Source.WEBHOOK
_read_beacon: Final[Callable[[bytes], BeaconRecord]] = msgpack_reader(BeaconRecord)
_read_device: Final[Callable[[bytes], Device]] = msgpack_reader(Device)


class DeviceStates:
    """Devices as the states of a store, by the key of ``beacons``."""

    def __init__(self) -> None:
        self.dropped: list[tuple[str, Exception]] = []
        """States that could not be written, since somebody last looked."""

    def new(self, key: str) -> Device:
        """A device of which nothing is known."""
        return Device()

    def encode(self, key: str, state: Device) -> bytes:
        """A device as bytes."""
        return to_msgpack(state)

    def decode(self, key: str, data: bytes) -> Device:
        """The device of these bytes."""
        device: Device = _read_device(data)
        return device

    def due_ms(self, key: str, state: Device) -> int | None:
        """When a quarantine is over, or all of it expires."""
        return state.due_ms

    def replay(self, key: str, snapshot: bytes | None, inputs: Sequence[Input]) -> Device:
        """Refuse: devices are always written whole."""
        raise NotImplementedError(f"device {key!r} has {len(inputs)} inputs")

    def lost(self, key: str, state: Device, error: Exception) -> None:
        """Remember a state that could not be written, for the next batch to tell."""
        self.dropped.append((key, error))


class DeviceGroup:
    """The devices of one partition, by the key of their records."""

    def __init__(  # noqa: PLR0917
        self,
        rules: Mapping[str, Rules],
        bounds: LimitHits,
        partitions: int,
        changelog: Changelog,
        resumed: GroupPosition | None,
        passed_on_ms: int,
        tracer: Tracer | None = None,
    ) -> None:
        """``rules``: by workspace; ``partitions``: of ``events``; ``passed_on_ms``: see :class:`GroupSnapshot`.

        Raises :class:`StateDamaged`.
        """
        self._rules, self._bounds, self._partitions, self._tracer = rules, bounds, partitions, tracer
        self.passed_on_ms = passed_on_ms
        """What was last said of the log time."""
        self._states = DeviceStates()
        self._devices: StateStore[Device] = StateStore(changelog, resumed, self._states, kind=DEVICES)
        self._anonymous = LeastRecentlyUsed({})

    def process(self, records: Sequence[Record], out: list[Outgoing]) -> None:
        """Process records in order, each at its log time."""
        for record in records:
            at_ms = record.log_time_ms
            if self._states.dropped:
                self._tell_dropped(at_ms, out)
            if not self._devices.is_quiet(at_ms):
                self._release(at_ms, out)
            if not record.is_tick:
                self._process(record, at_ms, out)
            if at_ms - self.passed_on_ms >= LOG_TIME_EVERY_MS:
                self._pass_on(record, at_ms, out)

    def known(self) -> list[str]:
        """The keys of the devices of which something is written."""
        return self._devices.known()

    def snapshot(self) -> GroupPosition:
        """The position at which a resume finds all states; they are on the disk when this returns."""
        return self._devices.snapshot()

    def _tell_dropped(self, log_time_ms: int, out: list[Outgoing]) -> None:
        """Set aside what the last epoch could not write: a letter each."""
        dropped, self._states.dropped = self._states.dropped, []
        for key, error in dropped:
            self._anonymous.forget(key)
            self._bounds.hit(Limit.UNWRITABLE)
            out.append(lost_state("device", key, error, log_time_ms))

    def _process(self, record: Record, log_time_ms: int, out: list[Outgoing]) -> None:
        tracer = self._tracer
        started_ns = tracer.now_ns() if tracer is not None else 0
        try:
            beacon = _read_beacon(record.value or b"")
            rules = self._rules.get(beacon.workspace)
            if rules is None:
                raise BadRecord(Reason.UNDECODABLE, f"no workspace {beacon.workspace!r}")
            key = record.key.decode("utf-8", "replace")
            encoded: list[bytes] = []
            device, events, refused = recognise(self._devices.get(key), beacon, record, rules, encoded)
            # Whatever raises, nothing of the record has been kept or said by then.
            recognised = _records(events, encoded)
            joinings = _joinings(beacon, events)
        except BadRecord as error:
            out.append(dead_letter(record, error.reason, error.detail))
            return
        except Exception as error:
            out.append(failed(record, error))
            return
        if tracer is not None:
            tell_recognised(tracer, beacon, events, started_ns)
        self._keep(key, device, log_time_ms)
        out.extend(recognised)
        for veto in joinings:
            out.append(Outgoing(VETOES, fact_key(veto), to_json(veto)))
        for each in refused:
            out.append(dead_letter(record, each.reason, each.detail, each.data, beacon))

    def _keep(self, key: str, device: Device, log_time_ms: int) -> None:
        """Store a device, or forget it where nothing in it counts any more; nobody's are bounded in number and size."""
        expires_ms = device.expires_ms
        if expires_ms <= log_time_ms or (not device.person and device.is_nobody):
            self._devices.let_go(key)
            self._anonymous.forget(key)
            return
        self._devices.put_due(key, device, device.due_ms if device.clicks else expires_ms)
        if device.person:
            self._anonymous.forget(key)
            return
        self._anonymous.use(key, len(key) + sum(device.sizes))
        share = self._devices.share_of_kind
        for gone in self._anonymous.over(share(MAX_ANONYMOUS), share(MAX_ANONYMOUS_BYTES)):
            self._devices.let_go(gone)
            self._bounds.hit(Limit.ANONYMOUS)

    def _release(self, log_time_ms: int, out: list[Outgoing]) -> None:
        """Tell the verdicts whose quarantine is over. A device for which that fails is dropped."""
        for key in self._devices.due(log_time_ms):
            try:
                device, events = released(self._devices.get(key), log_time_ms)
                verdicts = _records(events, ())
            except Exception as error:
                self._devices.let_go(key)
                self._anonymous.forget(key)
                self._bounds.hit(Limit.UNWRITABLE)
                out.append(lost_state("device", key, error, log_time_ms))
                continue
            self._keep(key, device, log_time_ms)
            out.extend(verdicts)

    def _pass_on(self, record: Record, log_time_ms: int, out: list[Outgoing]) -> None:
        self.passed_on_ms = log_time_ms
        value = to_json(LogTime(record.partition, log_time_ms))
        for number in range(self._partitions):
            out.append(Outgoing(EVENTS, b"", value, number))


def _records(events: Sequence[Event], encoded: Sequence[bytes]) -> list[Outgoing]:
    """Events as records of ``events``. ``encoded``: the JSON of each, where that was made before."""
    found: list[Outgoing] = []
    known = len(encoded) == len(events)
    for number, event in enumerate(events):
        data = encoded[number] if known else to_json(event)
        found.append(Outgoing(EVENTS, subscriber_key(event.workspace, event.subscriber), data))
    return found


def _joinings(beacon: BeaconRecord, events: Iterable[Event]) -> list[Veto]:
    """The joinings that lift a veto, of those that events tell. Of a webhook the door has told them with the veto."""
    found: list[Veto] = []
    if beacon.source is _WEBHOOK:
        return found
    for event in events:
        if event.action == LIST_JOINED and (joining := joining_of(event)) is not None:
            found.append(joining)
    return found
