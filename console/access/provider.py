"""The company's OpenID provider: what it announces, its keys, and what it says of whoever comes back from it.

Authorization code flow with PKCE. Authlib writes the addresses, swaps the code and checks the ID token's claims;
joserfc checks its signature. The rest of the answer is let go: no token is kept, and none is used.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Annotated, Any, Final, NamedTuple
from urllib.parse import urlencode

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import BadSignatureError, InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from console.access.begun_logins import BegunLogin
from contracts.errors import SegmaError
from contracts.installation import Oidc, trusted_address

RETURN: Final = "/oidc/return"
"""The path that the provider sends people back to; the only one that it has to allow."""
TIMEOUT_S: Final = (3.05, 5)
"""Seconds to connect, and of silence."""
MOST_BYTES: Final = 1 << 20
"""Of an answer of the provider."""
FRESH_MS: Final = 60 * 60_000
"""For so long what the provider announced and its keys are believed; an unknown key is asked for at once."""
LEEWAY_S: Final = 60
"""By which the provider's clock may differ."""
DISCOVERY: Final = "/.well-known/openid-configuration"

Endpoint = Annotated[str, AfterValidator(trusted_address)]


class ProviderAway(SegmaError):
    """The provider does not answer, or answers nothing that can be used. Its text is for the log."""


class LoginRefused(SegmaError):
    """What the provider said does not vouch for anybody. Its text is for the log, and holds nothing that it said."""


class Announced(BaseModel):
    """What a provider announces of itself, as far as a login needs it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    issuer: str
    authorization_endpoint: Endpoint
    token_endpoint: Endpoint
    jwks_uri: Endpoint
    end_session_endpoint: Endpoint | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


class Kept(NamedTuple):
    """What was fetched, and when."""

    announced: Announced
    keys: KeySet
    at_ms: int


class Unusable(requests.RequestException):
    """An answer is too long, breaks off, or leads elsewhere."""


class BoundedAdapter(HTTPAdapter):
    """Reads no more of an answer than :data:`MOST_BYTES`, and follows it nowhere."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Send, and read the answer. Raises :class:`Unusable` and what `requests` raises."""
        kwargs["stream"] = True
        answer = super().send(request, *args, **kwargs)
        try:
            with answer.raw as raw:
                body = raw.read(MOST_BYTES + 1, decode_content=True)
        except HTTPError as error:
            raise Unusable(type(error).__name__) from None
        if len(body) > MOST_BYTES or answer.is_redirect:
            raise Unusable("too long, or leads elsewhere")
        answer.raw = BytesIO(body)
        return answer


class Provider:
    """Asks the provider. Its methods wait for it: call them in a thread. Safe to share between threads."""

    def __init__(self, settings: Oidc, secret: str | None, home: str, now_ms: Callable[[], int]) -> None:
        """``home``: the address that people open the console by; ``secret``: None for a public client."""
        self.settings, self._secret, self._home, self._now_ms = settings, secret, home, now_ms
        # NOTE: what a header says beyond the standard's words is passed over, as the standard wants (`crit` is not).
        self._signing = JWSRegistry(algorithms=settings.algorithms, strict_check_header=False)
        self._lock = threading.Lock()
        self._kept: Kept | None = None

    def address(self, begun: BegunLogin) -> str:
        """Where the browser goes to sign in. Raises :class:`ProviderAway`."""
        announced = self._known().announced
        with self._client(announced) as client:
            address, _ = client.create_authorization_url(
                announced.authorization_endpoint,
                state=begun.state,
                nonce=begun.nonce,
                code_verifier=begun.verifier,
            )
        return str(address)

    def claims(self, begun: BegunLogin, code: str, issuer: str | None) -> Mapping[str, Any]:
        """What the provider says of whoever came back with a code. ``issuer``: the answer's ``iss``, where it has one.

        Raises :class:`ProviderAway`, and :class:`LoginRefused` where one check of the ID token fails.
        """
        known = self._known()
        required = known.announced.authorization_response_iss_parameter_supported
        if (required or issuer is not None) and issuer != self.settings.issuer:
            raise LoginRefused("the answer is another issuer's")
        answer = self._swapped(known.announced, begun, code)
        text = answer.get("id_token")
        if not isinstance(text, str):
            raise LoginRefused("there is no ID token")
        try:
            token = self._signed(text)
            found = CodeIDToken(token.claims, token.header, self._wanted(begun), self._bound(begun, answer))
            found.validate(now=self._now_ms() // 1_000, leeway=LEEWAY_S)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise LoginRefused(f"{type(error).__name__}{_known_claim(error)}") from None
        if not found["sub"]:
            raise LoginRefused("the ID token is about nobody")
        return dict(found)

    def farewell(self) -> str:
        """Where the browser goes to sign out of the provider too; empty where none is announced. Asks nobody."""
        kept = self._kept
        endpoint = kept.announced.end_session_endpoint if kept is not None else None
        if endpoint is None:
            return ""
        # NOTE: without `id_token_hint`: it would lay the whole ID token into an address.
        said = urlencode({"client_id": self.settings.client_id, "post_logout_redirect_uri": f"{self._home}/login"})
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{said}"

    def _wanted(self, begun: BegunLogin) -> dict[str, dict[str, Any]]:
        wanted = {"iss": self.settings.issuer, "aud": self.settings.client_id, "nonce": begun.nonce}
        return {name: {"essential": True, "value": value} for name, value in wanted.items()}

    def _bound(self, begun: BegunLogin, answer: Mapping[str, Any]) -> dict[str, Any]:
        access = answer.get("access_token")
        return {"nonce": begun.nonce, "client_id": self.settings.client_id, "access_token": access}

    def _signed(self, text: str) -> jwt.Token:
        """The ID token, if a key of the provider's signed it; keys that are not new are fetched again before it is not
        believed.
        """
        known, now_ms = self._known(), self._now_ms()
        try:
            return jwt.decode(text, known.keys, registry=self._signing)
        except (InvalidKeyIdError, BadSignatureError):
            if self._known(since_ms=now_ms) is known:
                raise
        return jwt.decode(text, self._known().keys, registry=self._signing)

    def _known(self, since_ms: int | None = None) -> Kept:
        """What the provider announced and its keys, fetched within :data:`FRESH_MS`, or at ``since_ms`` and later."""
        with self._lock:
            now_ms = self._now_ms()
            kept = self._kept
            if kept is None or kept.at_ms < (now_ms - FRESH_MS if since_ms is None else since_ms):
                kept = self._kept = self._fetched(now_ms)
            return kept

    def _fetched(self, now_ms: int) -> Kept:
        try:
            announced = Announced.model_validate(self._json(self.settings.issuer.rstrip("/") + DISCOVERY))
            if announced.issuer != self.settings.issuer:
                raise ProviderAway("its discovery is another issuer's")
            keys = self._json(announced.jwks_uri)
            return Kept(announced, KeySet.import_key_set(keys), now_ms)
        except ValidationError as error:
            fields = ", ".join(".".join(map(str, fault["loc"])) for fault in error.errors(include_input=False))
            raise ProviderAway(f"its discovery cannot be used: {fields}") from None
        except (JoseError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise ProviderAway(f"its keys cannot be used: {type(error).__name__}") from None

    def _json(self, url: str) -> Any:
        try:
            with requests.Session() as session:
                _bound(session)
                answer = session.get(url, timeout=TIMEOUT_S, headers={"accept": "application/json"})
                answer.raise_for_status()
                return json.loads(answer.content)
        except (requests.RequestException, OSError) as error:
            raise ProviderAway(type(error).__name__) from None

    def _swapped(self, announced: Announced, begun: BegunLogin, code: str) -> Mapping[str, Any]:
        """The token endpoint's answer to a code."""
        try:
            with self._client(announced) as client:
                answer: dict[str, Any] = client.fetch_token(
                    announced.token_endpoint,
                    grant_type="authorization_code",
                    code=code,
                    redirect_uri=self._home + RETURN,
                    code_verifier=begun.verifier,
                    timeout=TIMEOUT_S,
                    withhold_token=True,
                )
        except AuthlibBaseError as error:
            raise LoginRefused(f"the provider did not take the code: {_known_error(error.error)}") from None
        except (requests.RequestException, OSError) as error:
            raise ProviderAway(type(error).__name__) from None
        except (ValueError, TypeError) as error:
            raise LoginRefused(f"the answer to the code is no token: {type(error).__name__}") from None
        return answer

    def _client(self, announced: Announced) -> Any:
        # NOTE: where both are taken, the secret goes in the body: Authlib's `Basic` does not escape it as it should.
        methods = announced.token_endpoint_auth_methods_supported
        post = "client_secret_post" if "client_secret_post" in methods else "client_secret_basic"
        client = OAuth2Session(
            self.settings.client_id,
            self._secret,
            token_endpoint_auth_method=post if self._secret is not None else "none",
            scope=" ".join(self.settings.scopes),
            redirect_uri=self._home + RETURN,
            code_challenge_method="S256",
        )
        _bound(client)
        return client


def _bound(session: requests.Session) -> None:
    for scheme in ("https://", "http://"):
        session.mount(scheme, BoundedAdapter())


def _known_claim(error: Exception) -> str:
    """The registered claim that an error is about, behind a space."""
    claim = getattr(error, "claim", "")
    return f" {claim}" if claim in CodeIDToken.REGISTERED_CLAIMS else ""


def _known_error(word: object) -> str:
    """An error of OAuth 2.0 by its name; what is none is not repeated."""
    known = {"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type"}
    return word if isinstance(word, str) and word in known else "another error"
