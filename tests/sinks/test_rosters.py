"""Mailman by its imitation: what a 404 and a 409 say, and that the imitation answers as Mailman itself does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contracts.codec import to_json
from contracts.reasons import Reason
from sinks.base import Answer as Answered
from sinks.base import Change, Done, Fate, NoSuchList, PlatformError, Sink, Trouble
from tests.sinks.consent_bed import Fuse, sink_over
from tests.sinks.simulator import mailman
from tests.sinks.simulator.rosters import OPTIONS, Mailman, Rosters
from tests.sinks.simulator.server import Answer, Asked
from tests.sinks.simulator.world import ACTIVE, PENDING

ANNA = "anna@example.org"


class At:
    """A sink over an imitated Mailman with lists ``news`` and ``hot``; ``instead`` answers in its place."""

    def __init__(self, data: Path, known: str = "confirmed") -> None:
        self.dialect, self.world = Mailman(), Rosters()
        self.instead: Callable[[Asked], Answer | None] = lambda asked: None
        for name in ("news", "hot"):
            self.world.made_list(name)
        self.handle, self.dialect.handle = self.dialect.handle, self._handle  # type: ignore[method-assign]
        around = {"now_ms": lambda: 1, "log": None, "strangers": "add", "known": known}
        self.sink: Sink = sink_over(self.dialect, self.world, Fuse(), OPTIONS, around=around, data=data)

    def _handle(self, asked: Asked, world: Any) -> Answer:
        answer = self.instead(asked)
        return answer if answer is not None else self.handle(asked, world)

    def apply(self, *add: str, remove: tuple[str, ...] = (), **more: Any) -> Answered:
        (answer,) = self.sink.apply([Change("c", "s", ANNA, add, remove, **more)])
        return answer


@pytest.fixture
def at(tmp_path: Path) -> At:
    return At(tmp_path)


@pytest.mark.parametrize(("asked", "reason"), [(False, Reason.PENDING), (True, Reason.ASKED)])
def test_who_has_not_confirmed_is_let_in_by_no_call_and_stays_where_they_are(
    at: At, asked: bool, reason: Reason
) -> None:
    """Mailman refuses them with a 409, as it refuses whoever is a member already."""
    at.world.put(ANNA, "news")
    hot = at.world.made_list("hot")
    hot.members[at.world.enrol(ANNA).id] = PENDING
    answer = at.apply("hot", remove=("news",), asked=asked)
    assert isinstance(answer, Trouble)
    assert (answer.reason, answer.fate, answer.changed) == (reason, Fate.LASTING, ())
    assert (at.world.members("news"), at.world.members("hot")) == ({ANNA}, set())


def test_a_joining_that_mailman_has_only_taken_down_is_none(at: At) -> None:
    """202: somebody must say yes first, whatever the call said of it."""
    at.world.put(ANNA, "news")
    held = Answer(202, {"token": "t", "token_owner": "moderator"})
    at.instead = lambda asked: held if asked.path.endswith("/members") else None
    answer = at.apply("hot", remove=("news",))
    assert isinstance(answer, Trouble)
    assert (answer.reason, answer.changed) == (Reason.PENDING, ())
    assert at.world.members("news") == {ANNA}


def test_who_is_a_member_already_is_no_trouble(at: At) -> None:
    """Put in by somebody else between the look and the call."""
    at.world.put(ANNA, "news")

    def meanwhile(asked: Asked) -> None:
        if asked.path.endswith("/members"):
            at.world.put(ANNA, "hot")

    at.instead = meanwhile
    assert isinstance(at.apply("hot", remove=("news",)), Done)
    assert (at.world.members("news"), at.world.members("hot")) == (set(), {ANNA})


def test_whom_segma_put_into_a_list_has_not_left_it_by_being_taken_out_of_another(at: At) -> None:
    """A look says of every list whether they are there that it would else take them for gone from."""
    at.world.put(ANNA, "news")
    at.world.put(ANNA, "hot")
    answer = at.apply(remove=("news",), met_in=("hot",), met=True, expected_in=("hot",))
    assert (answer.changed, answer.leavings) == (("-news",), ())


FOREIGN = (
    Answer(404, b"<html>not found</html>", media="text/html"),
    Answer(404, b"", media="text/plain"),
    Answer(404, {"error": "no route"}),
    Answer(404, {"title": 404}),
)


@pytest.mark.parametrize("foreign", FOREIGN)
@pytest.mark.parametrize("path", ["/members/find", "/lists/", "/roster/member"])
def test_a_404_that_is_not_mailmans_own_says_nothing(at: At, path: str, foreign: Answer) -> None:
    """A proxy's, while Mailman is away or its address is wrong: nobody is out already, and no list is gone."""
    at.world.put(ANNA, "news")
    at.instead = lambda asked: foreign if path in asked.path else None
    answer = at.apply(remove=("news",))
    assert isinstance(answer, Trouble)
    assert answer.reason in {Reason.WRONG_ANSWER, Reason.REFUSED_BY_PLATFORM}
    assert at.world.members("news") == {ANNA}
    if "find" not in path:
        with pytest.raises(PlatformError):
            list(at.sink.members("news"))


def test_a_search_is_never_answered_with_a_404(at: At) -> None:
    """Whoever is in no list is answered with none."""
    at.instead = lambda asked: Answer(404, {"title": "404 Not Found"}) if asked.path.endswith("/find") else None
    answer = at.apply(remove=("news",))
    assert isinstance(answer, Trouble)
    assert answer.fate is Fate.AWAY


def test_mailmans_own_404_of_a_list_is_one(at: At) -> None:
    at.world.put(ANNA, "news")
    at.world.vanish_list("hot")
    assert at.apply(remove=("hot",)) == Done((), "already so")
    with pytest.raises(NoSuchList):
        list(at.sink.members("hot"))


@pytest.mark.parametrize("body", [{}, {"anna@example.org": "true"}, {"ben@example.org": True}, []])
def test_a_taking_out_that_does_not_say_of_whom_is_none(at: At, body: Any) -> None:
    at.world.put(ANNA, "news")
    at.instead = lambda asked: Answer(200, body) if asked.method == "DELETE" else None
    answer = at.apply(remove=("news",))
    assert isinstance(answer, Trouble)
    assert (answer.reason, answer.changed) == (Reason.WRONG_ANSWER, ())


def test_a_known_person_is_asked_where_the_account_says_so(tmp_path: Path) -> None:
    at = At(tmp_path, known="opt_in")
    at.world.put(ANNA, "news")
    at.world.made_list("hot").optin = "double"
    assert at.apply("hot", remove=("news",)).changed == ("?hot",)
    assert (at.world.members("news"), at.world.members("hot")) == ({ANNA}, set())
    assert at.world.made_list("hot").members[at.world.enrol(ANNA).id] == PENDING
    assert len(at.world.mails) == 1
    at.world.made_list("hot").members[at.world.enrol(ANNA).id] = ACTIVE
    assert at.apply("hot", remove=("news",), asked=True).changed == ("-news",)


CALLS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("GET", "/lists/{news}", {}),
    ("GET", "/lists/none@{domain}", {}),
    ("GET", "/lists/none.{domain}/config/digests_enabled", {}),
    ("POST", "/lists", {"fqdn_listname": "news@{domain}"}),
    ("POST", "/lists", {"fqdn_listname": "news@elsewhere.example"}),
    ("POST", "/domains", {"mail_host": "{domain}"}),
    ("POST", "/lists", {"fqdn_listname": "new@{domain}"}),
    ("GET", "/lists/new.{domain}/config/subscription_policy", {}),
    ("DELETE", "/lists/new@{domain}", {}),
    ("PATCH", "/lists/hot@{domain}/config", {"subscription_policy": "confirm"}),
    ("PATCH", "/lists/news@{domain}/config", {"subscription_policy": "open", "info": "Made by hand."}),
    ("GET", "/lists/hot.{domain}/config/subscription_policy", {}),
    ("GET", "/lists/news.{domain}/config/subscription_policy", {}),
    ("GET", "/lists/hot.{domain}/config/info", {}),
    ("GET", "/lists/news.{domain}/config/info", {}),
    ("GET", "/lists/news.{domain}/config/digests_enabled", {}),
    ("GET", "/lists/news.{domain}/config/admin_notify_mchanges", {}),
    ("POST", "/members", {"list_id": "news.{domain}", "subscriber": "Kim@{domain}", "pre_confirmed": "true"}),
    ("POST", "/members", {"list_id": "news.{domain}", "subscriber": "kim@{domain}", "pre_confirmed": "true"}),
    ("POST", "/members", {"list_id": "none.{domain}", "subscriber": "kim@{domain}", "pre_confirmed": "true"}),
    ("POST", "/members", {"list_id": "news.{domain}", "subscriber": "no-address", "pre_confirmed": "true"}),
    ("POST", "/members", {"list_id": "hot.{domain}", "subscriber": "lea@{domain}", "pre_confirmed": "false"}),
    ("POST", "/members", {"list_id": "hot.{domain}", "subscriber": "lea@{domain}", "pre_confirmed": "false"}),
    ("POST", "/members", {"list_id": "hot.{domain}", "subscriber": "lea@{domain}", "pre_confirmed": "true"}),
    ("POST", "/members/find", {"subscriber": "KIM@{domain}", "role": "member"}),
    ("POST", "/members/find", {"subscriber": "lea@{domain}", "role": "member"}),
    ("POST", "/members/find", {"subscriber": "*@{domain}", "role": "member"}),
    ("GET", "/lists/news.{domain}/member/kim@{domain}", {}),
    ("GET", "/lists/news.{domain}/member/lea@{domain}", {}),
    ("GET", "/lists/none.{domain}/member/lea@{domain}", {}),
    ("GET", "/members/12345/all/preferences", {}),
    ("GET", "/lists/news.{domain}/roster/member?count=2&page=1", {}),
    ("GET", "/lists/news.{domain}/roster/member?count=2&page=2", {}),
    ("GET", "/lists/none.{domain}/roster/member?count=2&page=1", {}),
    ("DELETE", "/lists/news.{domain}/roster/member", {"emails": "kim@{domain}"}),
    ("DELETE", "/lists/news.{domain}/roster/member", {"emails": "kim@{domain}"}),
    ("DELETE", "/lists/none.{domain}/roster/member", {"emails": "kim@{domain}"}),
    ("GET", "/lists/news.{domain}/roster/member?count=2&page=1", {}),
    ("DELETE", "/lists/news@{domain}", {}),
    ("GET", "/lists/news@{domain}", {}),
)
FLAGS = {"pre_verified": "true", "pre_approved": "true", "send_welcome_message": "false", "display_name": "Kim"}
KEPT = (
    *("title", "description", "start", "total_size", "email", "list_id", "fqdn_listname", "role", "delivery_mode"),
    *("display_name", "subscription_policy", "digests_enabled", "admin_notify_mchanges", "token_owner", "info"),
)
"""What the sink reads of an answer, and what says why it was refused."""


def told(value: Any) -> Any:
    """An answer without what differs from one server to the next."""
    if isinstance(value, dict):
        kept = {name: each for name, each in value.items() if name in {*KEPT, "entries"} or isinstance(each, bool)}
        return {name: told(each) for name, each in kept.items() if name != "advertised"}
    return [told(each) for each in value] if isinstance(value, list) else value


@pytest.mark.mailman
def test_the_imitation_answers_as_mailman_does() -> None:
    real, imitated, world = mailman.Mailman(), Mailman(), Rosters()
    for name in ("hot", "news"):
        world.made_list(name)
        real.config(name)
    for method, path, form in CALLS:
        answers = []
        for domain, dialect in ((real.domain, real), ("lists.example", imitated)):
            where, _, query = path.format(domain=domain, news=f"news@{domain}").partition("?")
            fields = {**form, **(FLAGS if where == "/members" else {})}
            body = {name: value.format(domain=domain) for name, value in fields.items()}
            given = dict(each.split("=") for each in query.split("&")) if query else {}
            raw = "&".join(f"{name}={value}" for name, value in body.items()).encode()
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            asked = Asked(method, f"/3.1{where}", given, headers, body or None, raw)
            answer = dialect.handle(asked, world)
            text = answer.body if isinstance(answer.body, bytes) else to_json(answer.body) if answer.body else b""
            answers.append((answer.status, told(_json(text.replace(domain.encode(), b"DOMAIN")))))
        assert answers[0] == answers[1], (method, path, form)


def _json(text: bytes) -> Any:
    return json.loads(text) if text else None
