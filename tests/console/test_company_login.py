"""Signing in by the company's OpenID provider, and everything by which nobody does."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
import uvicorn
from starlette.types import ASGIApp
from structlog.testing import capture_logs

from console.access import provider as provider_room
from console.access.begun_logins import MAX_BEGUN, WAIT_MS, BegunLogins
from console.access.company_claims import PREFIX, name_of, roles_of
from console.access.provider import FRESH_MS, Provider
from console.access.table import Role
from console.config import ConsoleSettings, secret_of, unguessable
from contracts.errors import ConfigError
from contracts.installation import Oidc, SecretAt, check_installation
from contracts.rows import Act
from tests.console.company import CLIENT, SECRET, Company, new_key
from tests.console.company_visit import (
    HOME,
    MARKETING,
    begun,
    refused,
    returned,
    said,
    settings_for,
)
from tests.console.visitor import Clock, Stage, Visitor
from tests.ports import free_port
from transport.config import wall_clock_ms

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def test_whoever_the_company_knows_comes_in_with_their_role(
    open_app: Callable[..., ASGIApp], company: Company, stage: Stage
) -> None:
    visitor = Visitor(open_app())
    assert "Sign in with Example &amp; Sons" in visitor.get("/login").text
    visitor.sign_in("vera")
    former = dict(visitor.cookies)
    answer = returned(visitor, company, "/events?since=-7d")
    assert (answer.status_code, answer.headers["location"]) == (303, "/events?since=-7d")
    assert "samesite=lax" in answer.cookies["segma_session"].lower()
    assert "httponly" in answer.cookies["segma_session"].lower()
    assert visitor.cookies["segma_session"] != former["segma_session"]
    assert Visitor(visitor.app, cookies=former).get("/").status_code == 303
    assert "segma_login" not in visitor.cookies
    assert "oidc:mara" in visitor.get("/w/demo/people").text
    assert visitor.get("/w/demo/audit").status_code == 403
    assert visitor.get("/w/other/listeners").status_code == 403
    (row,) = [row for row in stage.trail() if row.user == "oidc:mara"]
    assert (row.workspace, row.act, row.target) == ("demo", Act.SIGNED_IN, "u|1")


@pytest.mark.parametrize(("method", "secret"), [("client_secret_basic", SECRET), ("none", None)])
def test_the_console_proves_itself_as_the_provider_wants(
    open_app: Callable[..., ASGIApp], company: Company, method: str, secret: str | None
) -> None:
    company.method = method
    assert returned(Visitor(open_app(secret=secret)), company).status_code == 303


def test_a_way_back_counts_once_in_time_and_in_the_browser_that_began(
    open_app: Callable[..., ASGIApp], company: Company, clock: Clock
) -> None:
    visitor = Visitor(open_app())
    way = begun(visitor, company)
    held = dict(visitor.cookies)
    thief = Visitor(visitor.app)
    begun(thief, company)
    for other in (Visitor(visitor.app), thief, Visitor(visitor.app, cookies={"segma_login": ""})):
        answer = other.get(way)
        assert (answer.status_code, "begun in another browser" in answer.text) == (400, True)
    assert visitor.get(way).status_code == 303
    again = Visitor(visitor.app, cookies=held).get(way)
    assert (again.status_code, "This login is over" in again.text) == (400, True)
    late = Visitor(visitor.app)
    way = begun(late, company)
    clock.now_ms += WAIT_MS + 1
    assert late.get(way).status_code == 400
    assert late.get("/oidc/return").status_code == 400
    assert company.asked["/token"] == 1


def test_logins_on_their_way_are_bounded() -> None:
    begun_logins = BegunLogins(lambda: 0, unguessable)
    key, first = begun_logins.begin("/")
    later = [begun_logins.begin("/") for _ in range(MAX_BEGUN)]
    assert begun_logins.take(first.state, key) is None
    assert begun_logins.take(later[0][1].state, later[0][0]) == later[0][1]


def test_what_the_provider_refuses_is_said_in_words_of_ours(open_app: Callable[..., ASGIApp], company: Company) -> None:
    visitor = Visitor(open_app())
    state = parse_qs(begun(visitor, company))["state"][0]
    answer = visitor.get(f"/oidc/return?state={state}&error=access_denied&error_description=call+0900")
    assert (answer.status_code, "did not let you in" in answer.text, "0900" in answer.text) == (403, True, False)


def test_after_the_companys_login_nobody_lands_elsewhere(open_app: Callable[..., ASGIApp], company: Company) -> None:
    app = open_app()
    for target in ("//evil.example", "https%3A%2F%2Fevil.example", "/%0d%0aset-cookie%3A+a", "/%5Cevil.example"):
        answer = returned(Visitor(app), company, target)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_keys_are_kept_until_they_are_old_or_another_one_signs(
    open_app: Callable[..., ASGIApp], company: Company, clock: Clock
) -> None:
    app = open_app()
    for _ in range(3):
        assert returned(Visitor(app), company).status_code == 303
    assert company.asked["/keys"] == company.asked["/.well-known/openid-configuration"] == 1
    clock.now_ms += 1_000
    company.keys = [company.keys[0], new_key("second")]
    assert returned(Visitor(app), company).status_code == 303
    assert company.asked["/keys"] == 2
    clock.now_ms += 1_000
    company.signs = company.keys.pop(0)
    assert returned(Visitor(app), company).status_code == 303  # it is still one of those that are kept
    clock.now_ms += FRESH_MS
    refused(Visitor(app), company, "InvalidKeyIdError")
    company.signs = None
    assert returned(Visitor(app), company).status_code == 303


HELD: tuple[tuple[dict[str, Any], str, dict[str, Role]], ...] = (
    ({"groups": ["readers", "marketing"]}, "groups", {"demo": Role.MARKETER, "other": Role.VIEWER}),
    ({"groups": ["marketing", "readers"]}, "groups", {"demo": Role.MARKETER, "other": Role.VIEWER}),
    ({"groups": "readers"}, "groups", {"demo": Role.VIEWER, "other": Role.VIEWER}),
    ({"realm": {"roles": ["marketing"]}}, "realm.roles", {"demo": Role.MARKETER}),
    ({"https://a.b/roles": ["marketing"]}, "https://a.b/roles", {"demo": Role.MARKETER}),
    ({"realm": "roles"}, "realm.roles", {}),
)


def test_the_highest_role_of_all_groups_counts(company: Company) -> None:
    for says, claim, held in HELD:
        assert roles_of(says, settings_for(company, roles_claim=claim)) == held


def test_nobody_without_a_role_comes_in(open_app: Callable[..., ASGIApp], company: Company) -> None:
    app = open_app()
    for groups in ([], ["staff"], "staff", None, {"marketing": True}, [["marketing"]], ["Marketing"], 7):
        company.says = {"groups": groups}
        visitor = Visitor(app)
        answer = returned(visitor, company)
        assert (answer.status_code, "you have no role here" in answer.text) == (403, True), groups
        assert visitor.cookies == {}


NAMES: tuple[tuple[dict[str, Any], str, str], ...] = (
    ({"preferred_username": "mara\n<b>"}, "preferred_username", "oidc:mara--b-"),
    ({"preferred_username": "admin"}, "preferred_username", "oidc:admin"),
    ({"preferred_username": ["mara"]}, "preferred_username", "oidc:u-1"),
    ({}, "preferred_username", "oidc:u-1"),
    ({"email": "mara@example.org", "email_verified": True}, "email", "oidc:mara@example.org"),
    ({"email": "boss@example.org", "email_verified": False}, "email", "oidc:u-1"),
)


def test_a_name_is_never_that_of_a_user_of_the_consoles_own(company: Company) -> None:
    for says, claim, name in NAMES:
        assert name_of({"sub": "u|1", **says}, settings_for(company, name_claim=claim)) == name
    assert re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}").fullmatch(PREFIX) is None


def elsewhere(company: Company) -> None:
    company.announces = {"issuer": "http://localhost:1"}


def unsafe(company: Company) -> None:
    company.announces = {"token_endpoint": "http://idp.example/token"}


def moved(company: Company) -> None:
    company.announces = {"jwks_uri": f"{company.issuer}/end?client_id=1&post_logout_redirect_uri={company.issuer}/keys"}


def lost(company: Company) -> None:
    company.announces = {"jwks_uri": f"{company.issuer}/nowhere"}


def keyless(company: Company) -> None:
    company.keys = []


def long(company: Company) -> None:
    company.announces = {"more": "x" * provider_room.MOST_BYTES}


AILMENTS = (
    (elsewhere, "its discovery is another issuer's"), (unsafe, "its discovery cannot be used: token_endpoint"),
    (moved, "Unusable"), (lost, "HTTPError"), (keyless, "its keys cannot be used: MissingKeyError"),
    (long, "Unusable"), (Company.close, "ConnectionError"),
)  # fmt: skip


def test_without_the_provider_a_page_says_so_and_passwords_go_on(stage: Stage, clock: Clock) -> None:
    company = Company(HOME, clock)
    provider = Provider(settings_for(company), SECRET, HOME, clock)
    visitor = Visitor(stage.app(clock=clock, unique=unguessable, provider=provider))
    for ails, reason in AILMENTS:
        company.announces, company.keys = {}, [new_key("first")]
        ails(company)
        with capture_logs() as logs:
            answer = visitor.get("/oidc?next=/events")
        assert ([each["reason"] for each in logs], answer.status_code) == ([reason], 503)
        assert "does not answer now" in answer.text
    assert 'name="password"' in answer.text
    assert visitor.sign_in("mara").status_code == 303


def test_a_provider_that_goes_while_one_signs_in_is_away_too(
    open_app: Callable[..., ASGIApp], company: Company
) -> None:
    visitor = Visitor(open_app())
    way = begun(visitor, company)
    company.answers = lambda answer: b"x" * (provider_room.MOST_BYTES + 1)
    answer = visitor.get(way)
    assert (answer.status_code, "does not answer now" in answer.text) == (503, True)


def test_steps_of_the_companys_login_are_few_a_minute(open_app: Callable[..., ASGIApp], company: Company) -> None:
    visitor = Visitor(open_app(), address="192.0.2.1")
    assert [visitor.get("/oidc/return").status_code for _ in range(60)] == [400] * 60
    assert visitor.get("/oidc/return").status_code == visitor.get("/oidc").status_code == 429
    assert visitor.sign_in("mara").status_code == 303
    assert returned(Visitor(visitor.app), company).status_code == 303


def test_signing_out_leads_to_the_providers_own_end(
    open_app: Callable[..., ASGIApp], company: Company, stage: Stage
) -> None:
    visitor = Visitor(open_app())
    returned(visitor, company)
    kept = dict(visitor.cookies)
    answer = visitor.post("/logout", {"csrf": visitor.get("/").csrf})
    assert (answer.status_code, visitor.cookies) == (200, {})
    place = urlsplit(answer.headers["refresh"].removeprefix("0;url="))
    assert f"{place.scheme}://{place.netloc}{place.path}" == f"{company.issuer}/end"
    assert dict(parse_qsl(place.query)) == {"client_id": CLIENT, "post_logout_redirect_uri": f"{HOME}/login"}
    assert Visitor(visitor.app, cookies=kept).get("/").status_code == 303
    assert [row.act for row in stage.trail()] == [Act.SIGNED_IN, Act.SIGNED_OUT]
    visitor.sign_in("mara")
    assert visitor.post("/logout", {"csrf": visitor.get("/").csrf}).headers["location"] == "/login"
    company.announces = {"end_session_endpoint": None}
    quiet = Visitor(open_app())
    returned(quiet, company)
    assert quiet.post("/logout", {"csrf": quiet.get("/").csrf}).headers["location"] == "/login"


def test_names_and_passwords_can_be_switched_off(open_app: Callable[..., ASGIApp], company: Company) -> None:
    visitor = Visitor(open_app(local=False))
    assert 'name="password"' not in visitor.get("/login").text
    answer = visitor.sign_in("mara")
    assert (answer.status_code, "switched off here" in answer.text) == (403, True)
    assert returned(visitor, company).status_code == 303


def test_without_a_provider_its_pages_lead_to_the_login(app: ASGIApp) -> None:
    visitor = Visitor(app)
    assert "/oidc" not in visitor.get("/login").text
    assert visitor.get("/oidc?next=/events").headers["location"] == "/login?next=%2Fevents"
    assert visitor.get("/oidc/return?state=a&code=b").headers["location"] == "/login"


def test_behind_tls_the_logins_cookie_is_for_it_alone(stage: Stage, company: Company, clock: Clock) -> None:
    provider = Provider(settings_for(company), SECRET, "https://segma.example", clock)
    app = stage.app(clock=clock, unique=unguessable, provider=provider, host="segma.example", secure=True)
    answer = Visitor(app, host="segma.example", scheme="https").get("/oidc")
    cookie = answer.cookies["__Host-segma_login"].lower()
    assert all(word in cookie for word in ("; secure", "; httponly", "; samesite=lax", "; path=/"))


def test_no_secret_and_no_token_is_in_a_log_a_page_or_the_trail(
    open_app: Callable[..., ASGIApp], company: Company, stage: Stage
) -> None:
    tokens: list[str] = [SECRET]

    def remembered(answer: dict[str, Any]) -> object:
        tokens.extend(str(each) for each in answer.values())
        return answer

    company.answers = remembered
    visitor = Visitor(open_app())
    with capture_logs() as logs:
        pages = [returned(visitor, company), visitor.get("/")]
        company.spoil = said(nonce="a-nonce-of-another")
        pages.append(returned(visitor, company))
    text = f"{logs}{stage.trail()}{''.join(f'{page.headers}{page.text}' for page in pages)}"
    assert len(logs) == 1
    assert [token for token in [*tokens, "a-nonce-of-another"] if len(token) > 6 and token in text] == []


GOOD = {"issuer": "https://idp.example", "client_id": "segma", "roles": {"a": {"demo": "viewer"}}}
FILE: dict[str, Any] = {"token_keys": {"file": "keys"}, "workspaces": {"demo": {"secret": {"file": "secret"}}}}


def test_every_problem_of_the_settings_is_told_at_once(tmp_path: Path) -> None:
    bad = {
        "issuer": "http://idp.example", "client_id": "", "roles": {"a": {"demo": "owner"}}, "scopes": ["profile"],
        "algorithms": ["HS256"], "client_secret": {}, "name_claim": "",
    }  # fmt: skip
    with pytest.raises(ConfigError) as caught:
        check_installation({**FILE, "login": {"oidc": bad}}, where="segma.yaml")
    fields = {problem.field.removeprefix("login.oidc.").partition(".")[0] for problem in caught.value.problems}
    assert fields == set(bad)
    for login, words in (
        ({"local": False}, "nobody could sign in"),
        ({"oidc": {**GOOD, "roles": {"a": {"shop": "viewer"}}}}, "no workspace of this file: shop"),
        ({"oidc": {**GOOD, "issuer": "https://idp.example?a"}}, "without a query"),
        ({"oidc": {**GOOD, "issuer": "https://a:b@idp.example"}}, "without a login"),
        ({"oidc": {**GOOD, "roles": {}}}, "at least 1"),
    ):
        with pytest.raises(ConfigError, match=words):
            check_installation({**FILE, "login": login}, where="segma.yaml")
    oidc = Oidc.model_validate({**GOOD, "client_secret": {"file": "none"}})
    with pytest.raises(ConfigError) as caught:
        secret_of(oidc, ConsoleSettings(config=tmp_path / "segma.yaml"))
    assert [each.field for each in caught.value.problems] == ["SEGMA_CONSOLE_URL", "login.oidc.client_secret"]


def test_the_secret_comes_from_its_file(tmp_path: Path) -> None:
    settings = ConsoleSettings(config=tmp_path / "segma.yaml", console_url="https://segma.example")
    (tmp_path / "oidc").write_bytes("ä".encode())
    oidc = Oidc.model_validate(GOOD)
    assert secret_of(oidc, settings) is None
    held = oidc.model_copy(update={"client_secret": SecretAt(file="oidc")})
    with pytest.raises(ConfigError, match="no text of ASCII"):
        secret_of(held, settings)
    (tmp_path / "oidc").write_text(f"{SECRET}\n")
    assert secret_of(held, settings) == SECRET


@pytest.mark.browser
def test_a_browser_goes_to_the_company_and_back(browser: Browser, stage: Stage) -> None:
    port = free_port()
    home = f"http://127.0.0.1:{port}"
    company = Company(home, wall_clock_ms, says=dict(MARKETING), wants_click=True)
    provider = Provider(settings_for(company), SECRET, home, wall_clock_ms)
    app = stage.app(clock=wall_clock_ms, unique=unguessable, provider=provider)
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run)
    thread.start()
    context = browser.new_context()
    try:
        page = context.new_page()
        wrong: list[str] = []
        page.on("console", lambda said: wrong.append(said.text) if "Content Security Policy" in said.text else None)
        page.goto(f"{home}/w/demo/people")
        page.click("#company")
        page.click("#agree")
        page.locator("#look-up").wait_for()
        assert page.url == f"{home}/w/demo/people"
        assert page.locator(".who >> text=oidc:mara").count() == 1
        page.click("#sign-out")
        page.locator("#company").wait_for()
        assert company.asked["/end"] == 1
        assert wrong == []
    finally:
        context.close()
        server.should_exit = True
        thread.join()
        company.close()
