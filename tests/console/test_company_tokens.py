"""What the company's provider says must be believed whole: each fault of an ID token lets nobody in."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from joserfc.jwk import OctKey
from starlette.types import ASGIApp
from structlog.testing import capture_logs

from console.access.provider import LEEWAY_S
from tests.console.company import CLIENT, Company, new_key
from tests.console.company_visit import (
    NOW_MS,
    Spoiling,
    begun,
    headed,
    refused,
    said,
)
from tests.console.visitor import Visitor

if TYPE_CHECKING:
    pass


NOW_S = NOW_MS // 1_000
DOUBTFUL: dict[str, Spoiling] = {
    "InvalidClaimError iss": said(iss="http://localhost:1"),
    "MissingClaimError iss": said(iss=None),
    "InvalidClaimError aud": said(aud="another"),
    "InvalidClaimError aud, of several": said(aud=["another", "third"]),
    "MissingClaimError azp": said(aud=[CLIENT, "another"]),
    "InvalidClaimError azp": said(aud=[CLIENT, "another"], azp="another"),
    "InvalidClaimError azp, alone": said(azp="another"),
    "InvalidClaimError nonce": said(nonce="another"),
    "MissingClaimError nonce": said(nonce=None),
    "ExpiredTokenError exp": said(exp=NOW_S - LEEWAY_S),
    "InvalidClaimError exp": said(exp="tomorrow"),
    "MissingClaimError exp": said(exp=None),
    "InvalidClaimError iat": said(iat=NOW_S + LEEWAY_S + 1),
    "MissingClaimError iat": said(iat=None),
    "InvalidClaimError nbf": said(nbf=NOW_S + LEEWAY_S + 1),
    "InvalidClaimError at_hash": said(at_hash="AAAAAAAAAAAAAAAAAAAAAA"),
    "MissingClaimError sub": said(sub=None),
    "the ID token is about nobody": said(sub=""),
    "UnsupportedAlgorithmError": headed(alg="none"),
    "InvalidKeyIdError": headed(kid="unknown"),
    "UnsupportedHeaderError": headed(crit=["x-own"]),
}  # fmt: skip


def test_an_id_token_with_a_fault_lets_nobody_in(open_app: Callable[..., ASGIApp], company: Company) -> None:
    app = open_app()
    for reason, spoil in DOUBTFUL.items():
        company.spoil = spoil
        refused(Visitor(app, address=reason), company, reason.partition(",")[0])


def test_a_key_that_is_not_the_providers_vouches_for_nobody(open_app: Callable[..., ASGIApp], company: Company) -> None:
    visitor = Visitor(open_app())
    company.signs = new_key("first")
    refused(visitor, company, "BadSignatureError")
    shared = OctKey.import_key(company.keys[0].as_pem(private=False)[27:-25], {"kid": "first"})
    company.signs, company.spoil = shared, headed(alg="HS256")  # type: ignore[assignment]
    refused(visitor, company, "UnsupportedAlgorithmError")


NO_TOKEN: tuple[tuple[Callable[[dict[str, Any]], object], str], ...] = (
    (lambda answer: {**answer, "id_token": None}, "there is no ID token"),
    (lambda answer: {**answer, "id_token": "a.b.c"}, "DecodeError"),
    (lambda answer: {**answer, "id_token": "ä"}, "DecodeError"),
    (lambda answer: {**answer, "expires_in": "soon"}, "the answer to the code is no token: ValueError"),
    (lambda answer: [answer], "the answer to the code is no token: ValueError"),
    (lambda answer: {"error": "<b>x"}, "the provider did not take the code: another error"),
)


def test_an_answer_that_is_no_token_lets_nobody_in(open_app: Callable[..., ASGIApp], company: Company) -> None:
    app = open_app()
    for answers, reason in NO_TOKEN:
        company.answers = answers
        refused(Visitor(app), company, reason)


def test_a_wrong_secret_and_another_issuers_answer_let_nobody_in(
    open_app: Callable[..., ASGIApp], company: Company
) -> None:
    refused(Visitor(open_app(secret="another")), company, "the provider did not take the code: invalid_client")
    visitor = Visitor(open_app())
    way = begun(visitor, company)
    with capture_logs() as logs:
        assert visitor.get(way.partition("&iss=")[0] + "&iss=http%3A%2F%2Fevil.example").status_code == 403
        assert visitor.get(begun(visitor, company).partition("&iss=")[0]).status_code == 403
    assert [each["reason"] for each in logs] == ["the answer is another issuer's"] * 2
    assert company.asked["/token"] == 1
