"""A sink whose calls are told to a tracer: a span a command and call, and nothing of whom it is about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from contracts.traces import Span, Stage, Tracer, completing_event, span_id
from sinks.base import Answer, Change, Member, Right, Sink, Tell, Traits, Trouble, nobody


class TracedSink:
    """Passes everything on to the sink inside. ``kind``: which sink that is, as ``segma.yaml`` names it."""

    def __init__(self, inner: Sink, tracer: Tracer, *, workspace: str, account: str, kind: str) -> None:
        self._inner, self._tracer, self._workspace = inner, tracer, workspace
        self._about = {"segma.workspace": workspace, "segma.account": account, "segma.sink": kind}

    @property
    def traits(self) -> Traits:
        """As :attr:`Sink.traits`."""
        return self._inner.traits

    def apply(self, changes: Sequence[Change], tell: Tell = nobody) -> list[Answer]:
        """As :meth:`Sink.apply`."""
        started_ns = self._tracer.now_ns()
        answers = self._inner.apply(changes, tell)
        for change, answer in zip(changes, answers, strict=True):
            self._told(change, answer, started_ns)
        return answers

    def _told(self, change: Change, answer: Answer, started_ns: int) -> None:
        now_ns, fault = self._tracer.now_ns(), str(answer.reason) if isinstance(answer, Trouble) else ""
        for command_id, evidence in zip(change.commands, change.evidence, strict=False):
            if trace := self._tracer.trace_of(self._workspace, completing_event(evidence)):
                # NOTE: by when it began, for a command may take several calls.
                span = span_id(trace, Stage.REQUEST, f"{command_id}@{started_ns}")
                before = span_id(trace, Stage.COMMAND, command_id)
                self._tracer.tell(Span(trace, span, before, Stage.REQUEST, started_ns, now_ns, self._about, fault))

    def members(self, list_name: str) -> Iterator[Member]:
        """As :meth:`Sink.members`."""
        return self._inner.members(list_name)

    def rights(self) -> Iterator[Right]:
        """As :meth:`Sink.rights`."""
        return self._inner.rights()

    def close(self) -> None:
        """As :meth:`Sink.close`."""
        self._inner.close()
