"""Any address that takes signed calls: every move, and the ``webhook`` responses of listeners.

One call a command, at least once, signed as Standard Webhooks say (``webhook-id``, ``webhook-timestamp``,
``webhook-signature``). The id is the command's, the same at every repetition: whoever must not do a thing twice
remembers it. The body holds the subscriber's id, never an address.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from pydantic import Field, model_validator
from standardwebhooks import Webhook

from contracts.codec import to_json
from contracts.installation import DurationMs, SecretAt
from contracts.reasons import Reason
from sinks.base import Answer, Change, Done, Fate, Halt, Member, NoSuchList, Right, Tell, Traits, Trouble, nobody
from sinks.toolkit.http import Http, refused
from sinks.toolkit.options import Around, Kind, Options, SafeUrl

MIN_SECRET: Final = 24
"""Bytes of a signing secret, as Standard Webhooks ask."""


class WebhookOptions(Options):
    """``url``: where every move goes; without it only ``webhook`` responses are carried out, to ``hosts`` alone."""

    secret: SecretAt
    url: SafeUrl | None = None
    hosts: tuple[str, ...] = Field(default=())
    """``host`` or ``host:port`` that a listener's ``webhook`` may call."""
    wait: DurationMs = 30_000
    """How long a ``webhook`` response may wait for the outcomes of the match's other commands."""

    @model_validator(mode="after")
    def _leads_somewhere(self) -> WebhookOptions:
        if self.url is None and not self.hosts:
            raise ValueError("give url, hosts, or both")
        return self


def make(options: WebhookOptions, around: Around) -> WebhookSink:
    """The sink of an account."""
    secret = around.secret(options.secret, "secret").encode()
    if len(secret) < MIN_SECRET:
        raise ValueError(f"the secret needs {MIN_SECRET} characters or more")
    return WebhookSink(around.http(options, "", {}, quotas={}), options, Webhook(secret), around)


class WebhookSink:
    """The calls. There is nothing to read back."""

    traits = Traits(batch=1, tags=True, lists=False)

    def __init__(self, http: Http, options: WebhookOptions, signer: Webhook, around: Around) -> None:
        self.traits = self.traits._replace(waits_ms=options.wait)
        self._http, self._options, self._signer, self._around = http, options, signer, around

    def apply(self, changes: Sequence[Change], tell: Tell = nobody) -> list[Answer]:
        """See :meth:`sinks.base.Sink.apply`."""
        return [self._call(change) for change in changes]

    def members(self, list_name: str) -> Iterator[Member]:
        """There are no lists."""
        raise NoSuchList(list_name, ())

    def rights(self) -> Iterator[Right]:
        """There is nothing to try without doing it."""
        yield Right("delivering", None, "tried with the first command")

    def close(self) -> None:
        """Release the connections."""
        self._http.close()

    def _call(self, change: Change) -> Answer:
        url = change.url or self._options.url or ""
        if change.url and urlsplit(change.url).netloc.lower() not in self._options.hosts:
            return Trouble(Reason.BAD_DESTINATION, Fate.LASTING, "the host is not among those allowed")
        if not url:
            return Trouble(Reason.UNSUPPORTED, Fate.LASTING)
        body = to_json(change.about)
        now = datetime.fromtimestamp(self._around.now_ms() // 1_000, UTC)
        headers = {
            "webhook-id": change.change_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(change.change_id, now, body.decode()),
        }
        try:
            reply = self._http.ask("POST", url, body, headers=headers)
        except Halt as halt:
            # NOTE: an address of one listener that is away holds up no other's: it is asked again for a while only.
            fate = Fate.PASSING if change.url else halt.trouble.fate
            return halt.trouble._replace(fate=fate)
        if reply.ok:
            return Done(("called",), str(reply.status))
        return refused(reply)


KIND: Final = Kind(WebhookOptions, make, tags=True)
