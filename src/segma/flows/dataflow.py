"""Both flows in one Bytewax dataflow: beacons → recognise → events → follow → rows and moves. As thin as can be."""

from __future__ import annotations

import bytewax.operators as op
from bytewax.dataflow import Dataflow

from segma.contracts.log import Log
from segma.flows.changelog import Changelog
from segma.flows.logic import FollowLogic, RecogniseLogic, Shared
from segma.flows.sink import LogSink
from segma.flows.source import BeaconsSource, EventsSource, Outside


def build(log: Log, shared: Shared, *, groups: int, outside: Outside, changelog: Changelog) -> Dataflow:
    """The dataflow. ``groups``: key groups a partition, fixed for the life of a recovery store.

    ``changelog``: the state store that belongs to that recovery store; both flows share it, as they do the process.
    ``recognise`` and ``follow`` exchange nothing but the topic ``events``, so they may as well run in two processes.
    """
    flow = Dataflow("segma")
    beacons = op.input("beacons", flow, BeaconsSource(log, shared.partitions, outside))
    recognised = op.stateful_batch("recognise", beacons, lambda resumed: RecogniseLogic(shared, changelog, resumed))
    op.output("recognised", recognised, LogSink(log, outside.pause))
    events = op.input("events", flow, EventsSource(log, shared.partitions, groups, outside))
    followed = op.stateful_batch("follow", events, lambda resumed: FollowLogic(shared, changelog, resumed))
    op.output("followed", followed, LogSink(log, outside.pause))
    return flow
