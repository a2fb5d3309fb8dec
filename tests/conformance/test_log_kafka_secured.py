"""Kafka behind TLS and SASL, on a real broker: what a production cluster asks of its clients."""

from __future__ import annotations

import datetime
import ipaddress
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from contracts.errors import LogError, RecordRefused
from contracts.log import Outgoing, Stored
from contracts.topics import Topic
from tests.broker import START_S, Broker
from transport import open_log
from transport.config import Settings

TOPIC = Topic("secured", 2)
GUEST = "of-guest-51d0"
"""Of a principal that may look at the topics and read them, and write where a test allows it."""
PASSWORDS = {"PLAIN": "of-plain-8c1f", "SCRAM-SHA-256": "of-256-77ab", "SCRAM-SHA-512": "of-512-03de"}


@dataclass(frozen=True)
class Cluster:
    """A broker with a door for TLS with SASL and one for TLS with certificates, and what a client needs for both."""

    home: Path
    broker: Broker

    def settings(self, data: Path, password: str = "", **more: object) -> Settings:
        data.mkdir(parents=True, exist_ok=True)
        (data / "password").write_text(password)
        base = self.broker.settings(data)
        return Settings.model_validate(
            base.model_dump()
            | {
                "kafka_servers": f"127.0.0.1:{self.broker.port + 2}",
                "kafka_security": "sasl_ssl",
                "kafka_username": "segma",
                "kafka_password_file": data / "password",
                "kafka_ca_file": self.home / "ca.pem",
                "kafka_timeout_ms": 5_000,
            }
            | more
        )


def certificate(
    name: str, issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """A certificate for loopback, valid for a day; without an issuer its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(issuer[1] if issuer else key, hashes.SHA256())
    )
    return made, key


def write_pem(path: Path, *parts: x509.Certificate | ec.EllipticCurvePrivateKey) -> None:
    """Certificates and keys, one behind the other."""
    path.write_bytes(
        b"".join(
            part.public_bytes(serialization.Encoding.PEM)
            if isinstance(part, x509.Certificate)
            else part.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            for part in parts
        )
    )


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, broker: Broker) -> Iterator[Cluster]:
    # NOTE: the shared broker is asked for because it is skipped, or refused in CI, where this machine can have none.
    assert broker.port
    home = tmp_path_factory.mktemp("secured")
    authority = certificate("authority", None)
    write_pem(home / "ca.pem", authority[0])
    node, key = certificate("broker", authority)
    write_pem(home / "broker.pem", key, node, authority[0])
    own = Broker(home / "broker")
    own.properties = (
        f"listeners=PLAINTEXT://127.0.0.1:{own.port},CONTROLLER://127.0.0.1:{own.port + 1},"
        f"SASL_SSL://127.0.0.1:{own.port + 2}\n"
        f"advertised.listeners=PLAINTEXT://127.0.0.1:{own.port},SASL_SSL://127.0.0.1:{own.port + 2}\n"
        "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL\n"
        "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512\n"
        "listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule "
        f'required user_segma="{PASSWORDS["PLAIN"]}" user_guest="{GUEST}";\n'
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n"
        "super.users=User:ANONYMOUS;User:segma\n"
        "listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config="
        "org.apache.kafka.common.security.scram.ScramLoginModule required;\n"
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config="
        "org.apache.kafka.common.security.scram.ScramLoginModule required;\n"
        f"ssl.keystore.type=PEM\nssl.keystore.location={home / 'broker.pem'}\n"
        f"ssl.truststore.type=PEM\nssl.truststore.location={home / 'ca.pem'}\n"
        "listener.name.sasl_ssl.ssl.client.auth=requested\n"
    )
    with own:
        admin = AdminClient({"bootstrap.servers": own.servers})
        for mechanism, kind in (
            ("SCRAM-SHA-256", ScramMechanism.SCRAM_SHA_256),
            ("SCRAM-SHA-512", ScramMechanism.SCRAM_SHA_512),
        ):
            wish = UserScramCredentialUpsertion(
                "segma", ScramCredentialInfo(kind, 4_096), PASSWORDS[mechanism].encode()
            )
            admin.alter_user_scram_credentials([wish])["segma"].result(START_S)
        yield Cluster(home, own)


@pytest.mark.slow
@pytest.mark.parametrize("mechanism", PASSWORDS)
def test_records_pass_an_encrypted_door_with_a_password(cluster: Cluster, mechanism: str, tmp_path: Path) -> None:
    log = open_log(cluster.settings(tmp_path, PASSWORDS[mechanism], kafka_sasl_mechanism=mechanism))
    log.ensure([TOPIC])
    (stored,) = log.publisher().publish([Outgoing(TOPIC.name, b"k", b"v", 1)])
    assert isinstance(stored, Stored)
    reader = log.reader(TOPIC.name)
    (found,) = reader.poll(10, timeout_s=START_S)
    assert (found.key, found.value, found.partition) == (b"k", b"v", 1)
    reader.close()
    log.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    "wrong",
    [
        {"password": "another", "says": "authentication"},
        {"kafka_ca_file": None, "says": "certificate|SSL"},
        {"kafka_security": "ssl", "says": "Kafka at"},
    ],
    ids=["password", "authority", "no password"],
)
def test_a_door_that_stays_shut_says_so(
    cluster: Cluster, wrong: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transport.kafka.topics.BOOT_S", 5.0)
    more = dict(wrong)
    says, password = more.pop("says"), more.pop("password", PASSWORDS["SCRAM-SHA-512"])
    log = open_log(cluster.settings(tmp_path, password, **more))
    with pytest.raises(LogError, match=says) as refused:
        log.ensure([TOPIC])
    assert password not in str(refused.value)


def allow(cluster: Cluster, topic: str, *operations: AclOperation, prefix: bool = False) -> None:
    """Let the guest do so with a topic, or with all whose names begin so."""
    admin = AdminClient({"bootstrap.servers": cluster.broker.servers})
    pattern = ResourcePatternType.PREFIXED if prefix else ResourcePatternType.LITERAL
    bindings = [
        AclBinding(ResourceType.TOPIC, topic, pattern, "User:guest", "*", each, AclPermissionType.ALLOW)
        for each in operations
    ]
    for future in admin.create_acls(bindings).values():
        future.result(START_S)


@pytest.mark.slow
def test_who_may_not_write_is_told_so_and_may_as_soon_as_it_is_allowed(cluster: Cluster, tmp_path: Path) -> None:
    owner = open_log(cluster.settings(tmp_path, PASSWORDS["PLAIN"], kafka_sasl_mechanism="PLAIN"))
    other = Topic("forbidden", 1)
    owner.ensure([TOPIC, other])
    chosen = cluster.settings(tmp_path / "guest", GUEST, kafka_sasl_mechanism="PLAIN", kafka_username="guest")
    prefix = owner._settings.kafka_prefix  # type: ignore[attr-defined]
    guest = open_log(chosen.model_copy(update={"kafka_prefix": prefix}))
    allow(cluster, prefix, AclOperation.DESCRIBE, AclOperation.READ, prefix=True)
    publisher = guest.publisher()
    for _ in range(2):  # a producer that was lost is made anew, and lost again
        (outcome,) = publisher.publish([Outgoing(TOPIC.name, b"k", b"v", 1)])
        assert isinstance(outcome, RecordRefused)
        assert "authorization failed" in str(outcome)
    allow(cluster, prefix + TOPIC.name, AclOperation.WRITE)
    until = time.monotonic() + START_S
    while not isinstance(outcome, Stored):
        assert time.monotonic() < until
        (outcome,) = publisher.publish([Outgoing(TOPIC.name, b"k", b"v", 1)])
    outcomes = publisher.publish([Outgoing(other.name, b"k", b"v", 0), Outgoing(TOPIC.name, b"k", b"w", 1)])
    assert [type(each) for each in outcomes] == [RecordRefused, Stored], "one topic is refused, the other goes on"
    guest.close()
    owner.close()
