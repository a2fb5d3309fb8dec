"""The settings that every process reads at its start: the installation's file, its data, the log to open.

The environment and files are read here, in the rooms' own ``config.py`` and in ``cli/``, nowhere else.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self, TypeVar

import yaml
from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from contracts.errors import ConfigError, Problem
from contracts.installation import Installation, SecretAt, check_installation
from contracts.tokens import KEY_BYTES, Keyring, TokenKey

S = TypeVar("S", bound=BaseSettings)


def wall_clock_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def wall_clock_ns() -> int:
    """Nanoseconds since the epoch."""
    return time.time_ns()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """A log's clock and other surroundings; tests give their own."""

    now_ms: Callable[[], int] = wall_clock_ms
    """Stamps records."""
    elapsed_s: Callable[[], float] = time.monotonic
    """Measures waiting."""
    unique: Callable[[], str] = lambda: uuid.uuid4().hex
    """Names a topic made anew."""


class Settings(BaseSettings):
    """Settings shared by all processes, from the environment (``SEGMA_…``). Rooms extend it in their ``config.py``."""

    model_config = SettingsConfigDict(env_prefix="SEGMA_", extra="ignore", frozen=True)

    config: Path = Path("segma.yaml")
    """The installation's file."""
    data: Path = Path(".segma/data")
    """The directory of everything that is written: log, spools, recovery stores, lists of the file sink."""
    metrics_host: str = "127.0.0.1"
    """The address that a process serves its metrics on, where it has a port for them; the collector has its own."""
    log: Literal["embedded", "kafka"] = "embedded"
    """Which log."""
    kafka_servers: str = "127.0.0.1:9092"
    """``host:port``, several with commas."""
    kafka_prefix: str = Field(default="segma.", pattern=r"^[a-zA-Z0-9._-]{0,60}$")
    """In front of the names of topics and groups: installations that share a cluster never meet."""
    kafka_replication: int = Field(default=-1, ge=-1, le=10)
    """Copies of a topic made anew; -1: as the cluster's default says. From 3 on, two of them confirm."""
    kafka_timeout_ms: int = Field(default=5_000, ge=500, le=300_000)
    """How long a record may wait for its confirmation before the log counts as away."""
    kafka_clock_ms: int = Field(default=10_000, ge=1_000, le=86_400_000)
    """How far a broker's clock may be ahead of that of a record's writer; what it says beyond that is not believed."""
    kafka_go_on: bool = False
    """Where retention took what was not read yet: go on from the oldest record kept, counted, instead of stopping."""
    kafka_security: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = "plaintext"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    kafka_username: str = ""
    kafka_password_file: Path | None = None
    """The password's file: a secret has no place in an environment that child processes inherit."""
    kafka_ca_file: Path | None = None
    kafka_certificate_file: Path | None = None
    kafka_key_file: Path | None = None
    traces_endpoint: str = Field(default="", pattern=r"^(https?://[^\s/@?#]+/[^\s@?#]*)?$")
    """Where spans are sent by OTLP over HTTP; empty: nowhere, and nothing is traced."""
    traces_share: float = Field(default=0.01, ge=0, le=1)
    """The share of events that are traced; all processes of an installation need the same."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.kafka_security.startswith("sasl") and not (self.kafka_username and self.kafka_password_file):
            raise ValueError("SASL needs SEGMA_KAFKA_USERNAME and SEGMA_KAFKA_PASSWORD_FILE")
        if (self.kafka_certificate_file is None) != (self.kafka_key_file is None):
            raise ValueError("give both SEGMA_KAFKA_CERTIFICATE_FILE and SEGMA_KAFKA_KEY_FILE, or neither")
        return self


def settings_at(home: Path) -> Settings:
    """The settings of a command that is given a home. See :func:`settings_of_kind_at`."""
    return settings_of_kind_at(home, Settings)


def settings_of_kind_at(home: Path, kind: type[S]) -> S:
    """The settings of one room for a home: ``segma.env`` beside ``segma.yaml`` says which log it has.

    The environment outranks the file. Raises :class:`ConfigError`.
    """

    class AtHome(kind):  # type: ignore[misc, valid-type]
        model_config = SettingsConfigDict(env_file=home / "segma.env", env_file_encoding="utf-8")

    found: S = settings_of(AtHome)
    return found.model_copy(update={"config": home / "segma.yaml", "data": home / "data"})


def environment_of(settings: Settings) -> dict[str, str]:
    """The variables from which another process reads these settings."""
    given = {name: getattr(settings, name) for name in sorted(settings.model_fields_set)}
    return {f"SEGMA_{name.upper()}": str(value) for name, value in given.items() if value is not None}


def settings_of(kind: type[S]) -> S:
    """Read settings, or :class:`ConfigError` with every problem, named by their environment variables."""
    try:
        return kind()
    except ValidationError as error:
        prefix = kind.model_config.get("env_prefix", "")
        raise ConfigError(
            [
                Problem(
                    where="environment",
                    field=f"{prefix}{'.'.join(map(str, fault['loc']))}".upper(),
                    found=fault["msg"],
                    wanted="see docs/configuration.md",
                )
                for fault in error.errors(include_input=False)
            ]
        ) from None


def load_installation(path: Path) -> Installation:
    """Read and check ``segma.yaml``. Raises :class:`ConfigError` with every problem."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError([Problem(str(path), "", f"cannot be read ({error.strerror})", "`segma init`")]) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise ConfigError([Problem(where, "", "is not YAML", "mend that line")]) from None
    if not isinstance(raw, dict):
        raise ConfigError([Problem(str(path), "", "holds no mapping", "start it with `workspaces:`")])
    return check_installation(raw, where=str(path))


def read_secret(at: SecretAt, *, beside: Path, field: str) -> bytes:
    """The secret's bytes, without the line end. ``beside``: the installation's file. Never part of an error's text."""
    if at.env is not None:
        value = os.environ.get(at.env, "").encode()
        wanted = f"set the environment variable {at.env}"
    else:
        path = beside.parent / str(at.file)
        wanted = f"put it into {path}"
        try:
            value = path.read_bytes()
        except OSError:
            value = b""
    value = value.strip()
    if not value:
        raise ConfigError([Problem(str(beside), field, "the secret is empty or cannot be read", wanted)])
    return value


def load_keyring(installation: Installation, *, beside: Path) -> Keyring:
    """The keyring of the tokens in links."""
    text = read_secret(installation.token_keys, beside=beside, field="token_keys").decode("ascii", "replace")
    keys: list[TokenKey] = []
    for line in text.splitlines():
        key_id, _, digits = line.strip().partition(" ")
        try:
            secret = bytes.fromhex(digits)
        except ValueError:
            secret = b""
        if len(secret) != KEY_BYTES or not key_id.isalnum():
            raise ConfigError(
                [Problem(str(beside), "token_keys", "a line is not a key", "`<key id> <128 hexadecimal digits>`")]
            )
        keys.append(TokenKey(key_id, secret))
    return Keyring(keys, max_age_s=installation.token_max_age // 1_000)
