"""Going to the company's provider and back, and what is said there in another way than it should be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from structlog.testing import capture_logs

from contracts.installation import Oidc
from tests.console.company import CLIENT, Company
from tests.console.visitor import Answer, Visitor

HOME = "http://127.0.0.1:8401"
NOW_MS = 1_800_000_000_000
MARKETING = {"groups": ["staff", "marketing"], "preferred_username": "mara"}
ROLES = {"marketing": {"demo": "marketer"}, "readers": {"demo": "viewer", "other": "viewer"}}


def settings_for(company: Company, **changes: object) -> Oidc:
    given = {"issuer": company.issuer, "client_id": CLIENT, "roles": ROLES, "label": "Example & Sons"}
    return Oidc.model_validate({**given, "algorithms": ["ES256"], **changes})


def begun(visitor: Visitor, company: Company, target: str = "/events") -> str:
    """The way back of whoever went to the provider and signed in there."""
    answer = visitor.get(f"/oidc?next={target}")
    assert answer.status_code == 303, answer.text
    parts = urlsplit(answer.headers["location"])
    assert f"{parts.scheme}://{parts.netloc}" == company.issuer
    asked = dict(parse_qsl(parts.query, strict_parsing=True))
    assert asked.pop("tenant") == "1"
    back = urlsplit(company.authorize(asked))
    return f"{back.path}?{back.query}"


def returned(visitor: Visitor, company: Company, target: str = "/events") -> Answer:
    return visitor.get(begun(visitor, company, target))


Spoiling = Callable[[dict[str, Any], dict[str, Any]], None]


def said(**changes: Any) -> Spoiling:
    """Claims that are otherwise; None: that are not there."""

    def spoil(claims: dict[str, Any], header: dict[str, Any]) -> None:
        claims.update(changes)
        for name in [name for name, value in changes.items() if value is None]:
            del claims[name]

    return spoil


def headed(**changes: Any) -> Spoiling:
    return lambda claims, header: header.update(changes)


def refused(visitor: Visitor, company: Company, reason: str) -> None:
    """Nobody comes in, the page says so in a sentence, and the log why, in words of our own."""
    with capture_logs() as logs:
        answer = returned(visitor, company)
    assert ([each["reason"] for each in logs], answer.status_code) == ([reason], 403)
    assert "cannot be believed" in answer.text
    assert visitor.cookies == {}, reason
    assert visitor.get("/").status_code == 303
