"""An OpenID provider on loopback, as strict as the standard: it takes only what a client has to send, once, and signs
with keys that change. Whatever a test wants otherwise it says by ``spoil``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey
from joserfc.jws import JWSRegistry
from joserfc.registry import HeaderParameter

CLIENT, SECRET = "segma", "a secret of the client+%"
OWN = JWSRegistry({"x-own": HeaderParameter("a word of its own", "str")}, algorithms=["ES256", "HS256"])


def new_key(kid: str) -> ECKey:
    return ECKey.generate_key("P-256", {"kid": kid, "use": "sig"})


@dataclass
class Company:
    """The provider. ``says``: claims of whoever signs in beside the registered ones; ``announces``: laid over the
    discovery; ``spoil``: changes claims and header before they are signed; ``answers``: what the token endpoint says
    in place of its own words.
    """

    home: str
    now_ms: Callable[[], int]
    method: str = "client_secret_post"
    says: dict[str, Any] = field(default_factory=dict)
    announces: dict[str, Any] = field(default_factory=dict)
    spoil: Callable[[dict[str, Any], dict[str, Any]], None] = lambda claims, header: None
    answers: Callable[[dict[str, Any]], object] = lambda answer: answer
    keys: list[ECKey] = field(default_factory=lambda: [new_key("first")])
    signs: ECKey | None = None
    asked: Counter[str] = field(default_factory=Counter)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    wants_click: bool = False

    def __post_init__(self) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(self))
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    @property
    def issuer(self) -> str:
        # Not the console's host: for a browser it is another site.
        return f"http://localhost:{self.server.server_port}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize?tenant=1",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "end_session_endpoint": f"{self.issuer}/end",
            "token_endpoint_auth_methods_supported": [self.method],
            "authorization_response_iss_parameter_supported": True,
            "response_types_supported": ["code"],
            **self.announces,
        }

    def authorize(self, asked: dict[str, str]) -> str:
        """The address to which it sends a browser back. Whatever is not as it has to be is an error of the test's."""
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT
        assert asked["redirect_uri"] == f"{self.home}/oidc/return"
        assert "openid" in asked["scope"].split()
        assert asked["code_challenge_method"] == "S256"
        assert len(asked["code_challenge"]) == 43
        assert min(len(asked["state"]), len(asked["nonce"])) >= 32
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        said = urlencode({"code": code, "state": asked["state"], "iss": self.issuer})
        return f"{asked['redirect_uri']}?{said}"

    def token(self, form: dict[str, str], login: str) -> tuple[int, object]:
        """The token endpoint's status and answer."""
        if not self._is_client(form, login):
            return 401, {"error": "invalid_client"}
        if form.get("grant_type") != "authorization_code":
            return 400, {"error": "unsupported_grant_type"}
        asked = self.codes.pop(form.get("code", ""), None)
        hashed = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        proof = base64.urlsafe_b64encode(hashed).rstrip(b"=").decode()
        fits = asked is not None and asked["redirect_uri"] == form.get("redirect_uri")
        if asked is None or not fits or asked["code_challenge"] != proof or not 43 <= len(form["code_verifier"]) <= 128:
            return 400, {"error": "invalid_grant"}
        access = secrets.token_urlsafe(16)
        answer = {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": 60,
            "id_token": self._signed(asked, access),
        }
        return 200, self.answers(answer)

    def _is_client(self, form: dict[str, str], login: str) -> bool:
        if self.method == "none":
            return form.get("client_id") == CLIENT and not login and "client_secret" not in form
        if self.method == "client_secret_post":
            return (form.get("client_id"), form.get("client_secret"), login) == (CLIENT, SECRET, "")
        name, _, secret = base64.b64decode(login.removeprefix("Basic ")).decode().partition(":")
        return (unquote(name), secret) == (CLIENT, SECRET) and "client_secret" not in form

    def _signed(self, asked: dict[str, str], access: str) -> str:
        now_s = self.now_ms() // 1_000
        half = hashlib.sha256(access.encode()).digest()[:16]
        claims = {
            "iss": self.issuer, "sub": "u|1", "aud": CLIENT, "iat": now_s, "exp": now_s + 300,
            "nonce": asked["nonce"], "at_hash": base64.urlsafe_b64encode(half).rstrip(b"=").decode(), **self.says,
        }  # fmt: skip
        key = self.signs or self.keys[-1]
        header = {"alg": "ES256", "kid": key.kid, "x-own": "1"}
        self.spoil(claims, header)
        if header["alg"] == "none":
            return f"{_packed(header)}.{_packed(claims)}."
        return jwt.encode(header, claims, key, registry=OWN)


def _packed(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def handler_of(company: Company) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            company.asked[parts.path] += 1
            asked = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
            if parts.path == "/.well-known/openid-configuration":
                self._tell(200, company.discovery())
            elif parts.path == "/keys":
                self._tell(200, {"keys": [key.as_dict(private=False) for key in company.keys]})
            elif parts.path == "/authorize":
                back = company.authorize(asked)
                if company.wants_click:
                    link = f'<a id="agree" href="{escape(back)}">in</a>'
                    self._send(200, "text/html", f"<!doctype html><title>Company</title>{link}".encode())
                else:
                    self._go(back)
            elif parts.path == "/end":
                assert parse_qs(parts.query).keys() == {"client_id", "post_logout_redirect_uri"}
                self._go(asked["post_logout_redirect_uri"])
            else:
                self._tell(404, {})

        def do_POST(self) -> None:
            company.asked[self.path] += 1
            assert self.headers["content-type"].startswith("application/x-www-form-urlencoded")
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            form = dict(parse_qsl(body, strict_parsing=True))
            self._tell(*company.token(form, self.headers.get("authorization", "")))

        def _go(self, place: str) -> None:
            self.send_response(303)
            self.send_header("location", place)
            self.send_header("content-length", "0")
            self.end_headers()

        def _tell(self, status: int, value: object) -> None:
            self._send(status, "application/json", value if isinstance(value, bytes) else json.dumps(value).encode())

        def _send(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_request(self, code: object = "-", size: object = "-") -> None:
            pass

    return Handler
