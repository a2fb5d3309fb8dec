from __future__ import annotations

import pytest
from starlette.routing import Route
from starlette.types import ASGIApp

from console.access.requests import place_here
from console.access.sessions import IDLE_MS, MAX_SESSIONS, WHOLE_MS, Sessions
from console.access.table import PAGES, ROLES, Page, Role
from console.access.users import Users
from contracts.errors import ConfigError
from tests.console.visitor import PASSWORD, PEOPLE, Clock, Stage, Visitor, signed_in


def path_of(page: Page) -> str:
    given = {"workspace": "demo", "listener": "looked", "person": "s1", "account": "mailbox", "number": "1"}
    given["code"] = "code1"
    return page.path.replace(":int}", "}").format(**given)


def streams(page: Page) -> bool:
    return page.name.startswith("live_")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_whoever_is_not_signed_in_gets_the_login_and_what_it_needs(app: ASGIApp, page: Page) -> None:
    visitor = Visitor(app)
    answer = visitor.get(path_of(page)) if page.method == "GET" else visitor.post(path_of(page))
    if page.least is None:
        assert answer.status_code in {200, 303, 401}
    elif page.method == "GET" and not streams(page):
        assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/login")
    else:
        assert answer.status_code == 401


@pytest.mark.parametrize("role", ROLES.values(), ids=lambda role: role.word)
@pytest.mark.parametrize("page", [each for each in PAGES if each.least], ids=lambda page: page.name)
def test_every_page_opens_for_the_roles_of_the_table_and_no_other(app: ASGIApp, page: Page, role: Role) -> None:
    visitor = signed_in(app, next(name for name, word in PEOPLE.items() if word == role.word))
    allowed = page.least is not None and role >= page.least
    if page.method == "POST":
        csrf = visitor.get("/").csrf
        status = visitor.post(path_of(page), {"csrf": csrf}).status_code
    else:
        status = 200 if streams(page) and allowed else visitor.get(path_of(page)).status_code
    assert (status != 403) == allowed


@pytest.mark.parametrize("page", [each for each in PAGES if "{workspace}" in each.path], ids=lambda page: page.name)
def test_a_role_in_one_workspace_is_none_in_another(app: ASGIApp, page: Page) -> None:
    visitor = signed_in(app, "enno")
    path = path_of(page).replace("/demo", "/other", 1)
    csrf = visitor.get("/").csrf
    answer = visitor.get(path) if page.method == "GET" else visitor.post(path, {"csrf": csrf})
    assert answer.status_code == 403


def test_no_route_is_outside_the_table(app: ASGIApp) -> None:
    routes = [each for each in app.routes if isinstance(each, Route)]  # type: ignore[attr-defined]
    assert [(each.name, each.path) for each in routes] == [(page.name, page.path) for page in PAGES]
    assert [each.path for each in app.routes if not isinstance(each, Route)] == ["/static"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("page", [each for each in PAGES if each.method == "POST"], ids=lambda page: page.name)
def test_what_another_site_sends_changes_nothing(app: ASGIApp, page: Page) -> None:
    visitor = signed_in(app, "enno")
    csrf = visitor.get("/").csrf
    for foreign in ("cross-site", "same-site", "none"):
        assert visitor.post(path_of(page), {"csrf": csrf}, sec_fetch_site=foreign).status_code == 403
    for origin in ("http://evil.example", "null", "http://127.0.0.1:9", "https://127.0.0.1:8401", ""):
        assert visitor.post(path_of(page), {"csrf": csrf}, sec_fetch_site="", origin=origin).status_code == 403
    if page.least is not None:
        for wrong in ({}, {"csrf": ""}, {"csrf": "another"}, {"csrf": "ä"}):
            assert visitor.post(path_of(page), wrong).status_code == 403
    assert visitor.get("/").status_code == 200


def test_an_older_browser_says_where_it_comes_from_by_origin(app: ASGIApp) -> None:
    form = {"name": "mara", "password": PASSWORD}
    answer = Visitor(app).post("/login", form, sec_fetch_site="", origin="http://127.0.0.1:8401")
    assert answer.status_code == 303


def test_a_form_is_one_of_ours_or_nothing(app: ASGIApp) -> None:
    visitor = Visitor(app)
    assert visitor.post("/login", {"name": "mara"}, content_type="application/json").status_code == 400
    assert visitor.post("/login", {"name": "x" * 70_000}).status_code == 400
    assert visitor.ask(
        "POST", "/login", b"name=%ff", {"content-type": "application/x-www-form-urlencoded", "origin": "http://127.0.0.1:8401"}
    ).status_code == 400  # fmt: skip


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)", "\\\\evil.example", "",
        "/%0d%0aset-cookie: a=b", "/\r\nx: y", "evil.example", "/ /evil", "///evil.example", "/a#//b", "x" * 3_000,
    ],
)  # fmt: skip
def test_after_the_login_nobody_lands_elsewhere(app: ASGIApp, target: str) -> None:
    assert place_here(target) == "/"
    assert Visitor(app).sign_in("mara", target=target).headers["location"] == "/"


def test_after_the_login_the_page_that_was_asked_for_comes(app: ASGIApp) -> None:
    visitor = Visitor(app)
    first = visitor.get("/events?since=-7d")
    assert first.headers["location"] == "/login?next=%2Fevents%3Fsince%3D-7d"
    assert 'value="/events?since=-7d"' in visitor.get(first.headers["location"]).text
    assert visitor.sign_in("mara", target="/events?since=-7d").headers["location"] == "/events?since=-7d"


def test_a_session_key_is_always_a_new_one_of_ours(app: ASGIApp) -> None:
    visitor = Visitor(app)
    visitor.cookies["segma_session"] = "chosen-by-an-attacker"
    assert visitor.get("/").status_code == 303
    visitor.sign_in("mara")
    first = visitor.cookies["segma_session"]
    assert first != "chosen-by-an-attacker"
    visitor.sign_in("mara")
    assert visitor.cookies["segma_session"] != first
    former = Visitor(app, cookies={"segma_session": first})
    assert former.get("/").status_code == 303


def test_the_cookie_is_for_this_console_alone(stage: Stage) -> None:
    near = Visitor(stage.app()).sign_in("mara").cookies["segma_session"].lower()
    assert "httponly" in near
    assert "samesite=lax" in near
    far = Visitor(stage.app(host="segma.example", secure=True), host="segma.example", scheme="https").sign_in("mara")
    assert "; secure" in far.cookies["__Host-segma_session"].lower()
    assert Visitor(stage.app(), host="segma.example").get("/login").status_code == 400


def test_signing_out_ends_the_session_itself(app: ASGIApp) -> None:
    visitor = signed_in(app)
    kept = dict(visitor.cookies)
    answer = visitor.post("/logout", {"csrf": visitor.get("/").csrf})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert visitor.cookies == {}
    assert Visitor(app, cookies=kept).get("/").status_code == 303


def test_a_session_ends_by_idleness_and_by_age(stage: Stage) -> None:
    clock = Clock()
    visitor = signed_in(stage.app(clock=clock))
    clock.now_ms += IDLE_MS
    assert visitor.get("/").status_code == 200
    clock.now_ms += IDLE_MS + 1
    assert visitor.get("/").status_code == 303
    visitor.sign_in("mara")
    for _ in range(WHOLE_MS // IDLE_MS):
        clock.now_ms += IDLE_MS
        assert visitor.get("/").status_code == 200
    clock.now_ms += 1
    assert visitor.get("/").status_code == 303


def test_sessions_are_bounded_and_looking_on_is_no_use() -> None:
    clock, keys = Clock(), iter(range(10**6))
    sessions = Sessions(clock, lambda: str(next(keys)))
    first = sessions.open("a", {}, "")
    for _ in range(MAX_SESSIONS):
        sessions.open("a", {}, "")
    assert sessions.find(first) is None
    key = sessions.open("a", {}, "")
    clock.now_ms += IDLE_MS
    assert sessions.find(key, use=False) is not None
    clock.now_ms += 1
    assert sessions.find(key, use=False) is None


def test_a_change_of_a_user_counts_at_once(app: ASGIApp, users: Users) -> None:
    marketer, viewer = signed_in(app, "mara"), signed_in(app, "vera")
    assert viewer.get("/inbox").status_code == 403
    users.put("vera", None, {"demo": "marketer"})
    assert viewer.get("/inbox").status_code == 200
    users.put("vera", "another password", {})
    assert viewer.get("/").status_code == 303
    assert users.remove("mara")
    assert not users.remove("mara")
    assert marketer.get("/").status_code == 303
    users.path.write_text("{")
    assert signed_or_not(app) == 503


def test_a_user_called_as_the_demos_visitor_is_one_like_others(app: ASGIApp, users: Users) -> None:
    users.put("demo", PASSWORD, {"demo": "engineer"})
    visitor = signed_in(app, "demo")
    assert visitor.get("/").status_code == 200
    users.put("demo", "another password", {})
    assert visitor.get("/").status_code == 303


def signed_or_not(app: ASGIApp) -> int:
    return Visitor(app).sign_in("vera").status_code


@pytest.mark.parametrize(("name", "password"), [("mara", "wrong"), ("nobody", PASSWORD), ("mara", ""), ("", "")])
def test_a_wrong_password_and_an_unknown_name_look_alike(app: ASGIApp, name: str, password: str) -> None:
    answer = Visitor(app).sign_in(name, password)
    assert answer.status_code == 401
    assert "do not fit together" in answer.text
    assert answer.cookies == {}
    assert PASSWORD not in answer.text


def test_guesses_are_few_a_minute(app: ASGIApp) -> None:
    visitor = Visitor(app, address="192.0.2.1")
    assert [visitor.sign_in("mara", "wrong").status_code for _ in range(5)] == [401] * 5
    assert visitor.sign_in("mara").status_code == 429
    assert Visitor(app, address="192.0.2.2").sign_in("mara").status_code == 303
    others = [visitor.sign_in(f"user{number}", "wrong").status_code for number in range(30)]
    assert others[0] == 401
    assert others[-1] == 429


def test_the_demo_is_entered_by_one_click_on_this_machine_alone(stage: Stage) -> None:
    demo = stage.app()
    visitor = Visitor(demo)
    assert 'id="enter"' in visitor.get("/login").text
    assert visitor.post("/enter", {"next": "/inbox"}).headers["location"] == "/inbox"
    assert visitor.get("/inbox").status_code == 200
    afar = Visitor(demo, address="192.0.2.1")
    assert 'id="enter"' not in afar.get("/login").text
    assert afar.post("/enter").status_code == 403
    real = Visitor(stage.app(shop=None))
    assert 'id="enter"' not in real.get("/login").text
    assert real.post("/enter").status_code == 403


@pytest.mark.parametrize(
    ("name", "password", "roles", "field"),
    [
        ("a/b", PASSWORD, {"demo": "viewer"}, "name"), ("", PASSWORD, {}, "name"), ("é", PASSWORD, {}, "name"),
        ("new", "short", {}, "password"), ("new", None, {}, "password"), ("new", "x" * 2_000, {}, "password"),
        ("new", PASSWORD, {"demo": "owner"}, "role"),
    ],
)  # fmt: skip
def test_what_is_no_user_is_refused(
    users: Users, name: str, password: str | None, roles: dict[str, str], field: str
) -> None:
    before = users.path.read_bytes()
    with pytest.raises(ConfigError) as caught:
        users.put(name, password, roles)
    assert [problem.field for problem in caught.value.problems] == [field]
    assert users.path.read_bytes() == before


def test_the_users_file_holds_hashes_for_its_owner_alone(users: Users) -> None:
    text = users.path.read_text()
    assert PASSWORD not in text
    assert text.count("$argon2id$") == len(PEOPLE)
    assert users.path.stat().st_mode & 0o777 == 0o600
