"""The installation's file, ``segma.yaml``, as checked values: workspaces, their sites and their accounts.

Rooms read the file in their ``config.py`` and hand the mapping to :func:`check_installation`, which names every problem
at once. Secrets stand elsewhere: the file only says where (:class:`SecretAt`); a room resolves those that it needs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, TypeGuard
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from contracts.errors import ConfigError, Problem
from contracts.time_zones import named_zone
from contracts.urls import normalised_host, normalised_origin

MAX_BODY_BYTES = 1_048_576
"""Above it a beacon's body is not read at all; each site's own limit is lower."""
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
"""Hosts of this machine."""
_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"([0-9]{1,15})(ms|s|m|h|d)")


def duration_ms(text: str) -> int:
    """Milliseconds of ``250ms``, ``10s``, ``30m``, ``2h``, ``7d``: one whole number, more than zero, and one unit.

    Raises ``ValueError`` with a sentence that says what would be right.
    """
    found = _DURATION.fullmatch(text)
    if not found or int(found[1]) == 0:
        raise ValueError("write a whole number above zero and one unit: 250ms, 10s, 30m, 2h or 7d")
    return int(found[1]) * _UNITS_MS[found[2]]


def _as_ms(value: object) -> object:
    return duration_ms(value) if isinstance(value, str) else value


Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
"""Names of workspaces, sites and accounts: they become parts of topics' and files' names."""
DurationMs = Annotated[int, BeforeValidator(_as_ms), Field(gt=0)]


def _zone_name(name: str) -> str:
    named_zone(name)
    return name


class _Checked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _all(spelling: Callable[[str], str]) -> BeforeValidator:
    """Writes each of a list's texts in its one spelling."""
    return BeforeValidator(
        lambda found: tuple(spelling(each) for each in found) if _are_texts(found) else found,
    )


def _are_texts(found: object) -> TypeGuard[list[str] | tuple[str, ...]]:
    return isinstance(found, list | tuple) and all(isinstance(each, str) for each in found)


class SecretAt(_Checked):
    """The place of a secret: an environment variable, or in a file (relative to ``segma.yaml``)."""

    env: str | None = None
    file: str | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> SecretAt:
        if (self.env is None) == (self.file is None):
            raise ValueError("give either env or file")
        return self


Param = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,40}$")]
"""Name of a parameter in addresses: nothing that would be written another way there."""


class Site(_Checked):
    """One website of a workspace. ``key`` is public: it stands in the page."""

    key: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{4,64}$")]
    origins: Annotated[tuple[str, ...], _all(normalised_origin)] = ()
    """Origins whose pages may send beacons, such as ``https://shop.example``; ``https://*.shop.example`` stands for all
    its sub-domains. Written in any case, with IDNs, default ports and a trailing slash."""
    redirect_hosts: Annotated[tuple[str, ...], _all(normalised_host)] = ()
    """``host`` or ``host:port`` that the click redirect may lead to."""
    server_key: SecretAt | None = None
    """The secret of server-side events; without it they are refused."""
    token_param: Param = "sgm"  # noqa: S105
    campaign_param: Param = "utm_campaign"
    click_param: Param = "sgm_click"
    max_body_bytes: Annotated[int, Field(gt=0, le=MAX_BODY_BYTES)] = 65_536
    """64 KiB is what browsers let ``sendBeacon`` and keepalive requests carry."""
    max_events: Annotated[int, Field(gt=0)] = 200
    capture: tuple[Literal["keys", "mouse", "clipboard"], ...] = ()
    """What may be captured where a live listener asks for it: keys, letters and shortcuts; the mouse's buttons and way;
    that something was copied or pasted. Nothing until the site says so."""
    rate_per_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 50.0
    """Beacons a second that one client address may send, on average; ``rate_burst`` at once."""
    rate_burst: Annotated[int, Field(gt=0)] = 200

    @model_validator(mode="after")
    def _params_are_three(self) -> Site:
        if len({self.token_param, self.campaign_param, self.click_param}) < 3:
            raise ValueError("token_param, campaign_param and click_param are three different names")
        return self


class MaxMoves(_Checked):
    """Most moves of one listener within an hour and a day, and of all together at the account; None: any number."""

    hour: Annotated[int, Field(gt=0)] = 100_000
    day: Annotated[int, Field(gt=0)] | None = None
    account_hour: Annotated[int, Field(gt=0)] | None = None
    account_day: Annotated[int, Field(gt=0)] | None = None


def _as_moves(value: object) -> object:
    return {"hour": value} if isinstance(value, int) else value


class Sudden(_Checked):
    """More moves of a listener within a day than ``times`` its usual day, and than ``above``."""

    times: Annotated[int, Field(ge=2)] = 10
    above: Annotated[int, Field(gt=0)] = 1_000


class Account(_Checked):
    """One login at one email platform. ``options`` are the sink's own and checked by it."""

    sink: Name
    options: dict[str, Any] = {}
    hook: SecretAt | None = None
    """The secret of the platform's webhooks to Segma: what it signs with or, where it signs nothing, a part of the
    path. Without it none are taken."""
    max_moves: Annotated[MaxMoves, BeforeValidator(_as_moves)] = MaxMoves()
    """Most moves; past it the account is paused and says so. A number is that of one listener in an hour."""
    sudden: Sudden | Literal[False] = Sudden()
    """When a listener moves so many more than it usually does that the account is paused; ``false``: never."""
    strangers: Literal["add", "opt_in", "never"] | None = None
    """What becomes of people whom the platform does not know: brought in, asked to confirm, or left alone. By default
    asked where the platform can ask, else brought in."""
    known: Literal["confirmed", "opt_in"] = "confirmed"
    """How people whom the platform knows come into a list that asks for an opt-in: confirmed, or asked once more."""


class Cap(_Checked):
    """At most so many ``moves`` of one person within a time (``in``), over all listeners."""

    moves: Annotated[int, Field(gt=0, le=1_000)]
    within: Annotated[DurationMs, Field(alias="in")]


class Workspace(_Checked):
    """One client of the installation."""

    secret: SecretAt
    """32 bytes or more: from it and the address comes the subscriber's id. It never changes."""
    sites: dict[Name, Site] = {}
    accounts: dict[Name, Account] = {}
    listeners: str = "listeners"
    """The directory of the listeners' YAML files."""
    actions: str = "actions.yaml"
    """The file of the site's own actions; it may be absent."""
    session_gap: DurationMs = 30 * 60_000
    lateness: DurationMs = 10 * 60_000
    max_delay: DurationMs = 86_400_000
    grace: DurationMs = 2_000
    quarantine: DurationMs = 60_000
    trust: Literal["browser", "token", "server"] = "browser"
    """What its listeners that move people ask for where they name no ``trust`` of their own; taken over with each
    version as it is applied."""
    time_zone: Annotated[str, AfterValidator(_zone_name)] = "UTC"
    """The IANA name of the zone whose clocks a listener's ``between`` and ``weekdays`` mean."""
    cap: Cap | None = None
    """How many matches may change one person's lists within a time; those past it are rows, marked ``capped``."""


def trusted_address(text: str) -> str:
    """``text``, if a provider of logins may be reached there: by HTTPS, or on this machine. Raises ``ValueError``."""
    parts = urlsplit(text)
    near = parts.scheme == "http" and parts.hostname in LOOPBACK
    if not (parts.scheme == "https" or near) or not parts.hostname or "@" in parts.netloc:
        raise ValueError("write an https:// address without a login")
    if parts.fragment or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("write an address without a fragment and strange letters")
    return text


def _issuer(text: str) -> str:
    if "?" in text:
        raise ValueError("write an address without a query")
    return trusted_address(text)


class Oidc(_Checked):
    """The company's own login, by OpenID Connect."""

    issuer: Annotated[str, AfterValidator(_issuer)]
    """To the letter what the provider calls itself in its tokens."""
    client_id: Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,255}$")]
    client_secret: SecretAt | None = None
    """None: a public client, which PKCE alone vouches for."""
    label: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,60}$")] = "OpenID Connect"
    """What the login's page calls it."""
    scopes: tuple[Annotated[str, Field(pattern=r"^[\x21\x23-\x5b\x5d-\x7e]{1,200}$")], ...] = ("openid", "profile")
    name_claim: Annotated[str, Field(min_length=1, max_length=200)] = "preferred_username"
    """The claim by which the trail calls somebody."""
    roles_claim: Annotated[str, Field(min_length=1, max_length=200)] = "groups"
    """The claim whose texts lead to roles; ``a.b`` is the ``b`` within ``a`` where there is no claim ``a.b``."""
    roles: Annotated[dict[str, dict[Name, Literal["viewer", "marketer", "engineer"]]], Field(min_length=1)]
    """A text of that claim → the role in each workspace. Whoever has none of them does not come in."""
    algorithms: Annotated[
        tuple[Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"], ...],
        Field(min_length=1),
    ] = ("RS256", "PS256", "ES256")
    """By which the provider may sign."""

    @field_validator("scopes")
    @classmethod
    def _openid_is_one(cls, scopes: tuple[str, ...]) -> tuple[str, ...]:
        if "openid" not in scopes:
            raise ValueError("`openid` is one of them")
        return scopes


class Login(_Checked):
    """Who signs people in to the console."""

    local: bool = True
    """Whether those of ``segma users`` may sign in by name and password."""
    oidc: Oidc | None = None

    @model_validator(mode="after")
    def _somebody_comes_in(self) -> Login:
        if not self.local and self.oidc is None:
            raise ValueError("without `local` and without `oidc` nobody could sign in")
        return self


class Installation(_Checked):
    """Everything in ``segma.yaml``."""

    token_keys: SecretAt
    """One key a line, newest first: ``<key id> <128 hexadecimal digits>``."""
    token_max_age: DurationMs = 400 * 86_400_000
    workspaces: dict[Name, Workspace]
    partitions: Annotated[int, Field(ge=1, le=1_024)] = 4
    """Of the keyed topics: frozen once the log holds them."""
    retention: DurationMs = 30 * 86_400_000
    """How long the log keeps beacons, events, rows and commands: longer than any listener looks back."""
    login: Login = Login()

    @model_validator(mode="after")
    def _site_keys_are_unique(self) -> Installation:
        keys = [site.key for workspace in self.workspaces.values() for site in workspace.sites.values()]
        doubled = {key for key in keys if keys.count(key) > 1}
        if doubled:
            raise ValueError(f"two sites share a key: {', '.join(sorted(doubled))}")
        return self

    @model_validator(mode="after")
    def _roles_are_in_workspaces(self) -> Installation:
        mapped = self.login.oidc.roles.values() if self.login.oidc is not None else ()
        if unknown := sorted({name for roles in mapped for name in roles} - self.workspaces.keys()):
            raise ValueError(f"login.oidc.roles names no workspace of this file: {', '.join(unknown)}")
        return self


def check_installation(raw: Mapping[str, Any], *, where: str) -> Installation:
    """The checked installation, or :class:`ConfigError` with every problem. ``where`` is the file's name."""
    try:
        return Installation.model_validate(raw)
    except ValidationError as error:
        raise ConfigError([_problem(where, fault) for fault in error.errors(include_input=False)]) from None


def _problem(where: str, fault: Mapping[str, Any]) -> Problem:
    field = ".".join(str(part) for part in fault["loc"])
    return Problem(where=where, field=field, found=str(fault["msg"]), wanted="see docs/configuration.md")
