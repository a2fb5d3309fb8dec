"""Both flows in one Bytewax dataflow: beacons → recognise → events → follow → rows and moves. As thin as can be."""

from __future__ import annotations

from typing import cast

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.operators import KeyedStream

from contracts.log import Log
from flows.operators.log_sink import LogSink
from flows.operators.logic import FollowBatch, FollowLogic, InOne, RecogniseLogic, Shared
from flows.operators.source import BeaconsSource, EventsSource, MergedSource, ProcessContext, is_of_beacons
from flows.state.changelog import Changelog


def build(log: Log, shared: Shared, *, groups: int, context: ProcessContext, changelog: Changelog) -> Dataflow:
    """The dataflow. ``groups``: key groups a partition, fixed for the life of a recovery store.

    ``changelog``: the state store that belongs to that recovery store; both flows share it, as they do the process.
    ``recognise`` and ``follow`` exchange nothing but the topic ``events``, so they may as well run in two processes.
    """
    flow = Dataflow("segma")
    beacons = BeaconsSource(log, shared.partitions, context)
    events = EventsSource(log, shared.partitions, groups, context)
    read = op.branch("of", op.input("log", flow, MergedSource(beacons, events)), is_of_beacons)
    recognised = op.stateful_batch(
        "recognise", read.trues, lambda resumed: InOne(RecogniseLogic(shared, changelog, resumed))
    )
    op.output("recognised", recognised, LogSink(log, context.pause))
    of_events = cast("KeyedStream[FollowBatch]", read.falses)
    emitted = op.stateful_batch("follow", of_events, lambda resumed: InOne(FollowLogic(shared, changelog, resumed)))
    op.output("followed", emitted, LogSink(log, context.pause))
    return flow
