"""``segma backup`` and ``segma restore``: bit by bit on the embedded log, record by record on Kafka, or not at all."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd
from click.testing import CliRunner, Result

from cli.__main__ import cli
from cli.backup import restore_command
from cli.backups.archive import HEAD, ArchiveWriter, Head
from cli.backups.log_records import KEPT
from cli.supervise import only_one
from contracts.log import Outgoing
from contracts.reading import all_of
from contracts.topics import EVENTS, OUTCOMES, SUBSCRIBERS, topics_of
from sinks.toolkit.refreshed_login import Issued, RefreshedLogin
from tests.broker import Broker
from transport import open_log
from transport.config import load_installation, settings_at


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words])


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = tmp_path / "home"
    assert run("init", "--home", made, "--origin", "https://shop.example").exit_code == 0
    return made


def publish(home: Path, *records: Outgoing) -> None:
    log = open_log(settings_at(home))
    log.ensure(topics_of(load_installation(home / "segma.yaml")))
    publisher = log.publisher()
    publisher.publish(records)
    publisher.close()
    log.close()


def records(home: Path, topic: str) -> list[tuple[bytes, bytes | None]]:
    log = open_log(settings_at(home))
    found = [(each.key, each.value) for each in all_of(log, topic)]
    log.close()
    return found


def tree(home: Path) -> dict[str, object]:
    """Every path with its mode and content."""
    found: dict[str, object] = {}
    for path in sorted(home.rglob("*")):
        name = str(path.relative_to(home))
        if path.is_symlink():
            found[name] = path.readlink()
        elif path.is_file():
            found[name] = path.read_bytes(), stat.S_IMODE(path.stat().st_mode)
        elif path.is_dir():
            found[name] = stat.S_IMODE(path.stat().st_mode)
    return found


def test_a_home_on_the_embedded_log_comes_back_bit_by_bit(home: Path, tmp_path: Path) -> None:
    publish(home, Outgoing(SUBSCRIBERS, b"main/s_1", b"{}"), Outgoing(EVENTS, b"main/s_1", b"{}"))
    store = home / "data" / "clickhouse" / "store" / "9a8"
    store.mkdir(parents=True)
    (store / "part.bin").write_bytes(random.Random(1).randbytes(3_000_000))
    (home / "data" / "clickhouse" / "metadata").mkdir()
    (home / "data" / "clickhouse" / "metadata" / "segma").symlink_to("../store/9a8")
    (home / "data" / "clickhouse" / "empty").mkdir()
    made = run("backup", "--home", home, "--to", tmp_path / "b", "--json")
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["log"] == "home"
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o600
    before = {name: each for name, each in tree(home).items() if not name.startswith("run")}
    restored = run("restore", tmp_path / "b", "--home", tmp_path / "other", "--json")
    assert restored.exit_code == 0, restored.output
    assert tree(tmp_path / "other") == before
    assert records(tmp_path / "other", EVENTS) == records(home, EVENTS) == [(b"main/s_1", b"{}")]


def test_a_login_whose_refresh_token_has_rotated_comes_back_and_goes_on(home: Path, tmp_path: Path) -> None:
    """The token in the settings is spent by then: without the file nobody could go on."""
    sent: list[str] = []

    def token(place: Path, **refused: str) -> str:
        def exchange(refresh: str) -> Issued:
            sent.append(refresh)
            return Issued(f"access-{len(sent)}", f"refresh-{len(sent)}", 86_400)

        path = place / "data" / "login.main.cc-main.json"
        kept = RefreshedLogin(exchange, seed="seed", path=path, now_ms=lambda: 0, pause=lambda seconds: None)
        return kept.token(**refused)

    assert token(home) == "access-1"
    assert run("backup", "--home", home, "--to", tmp_path / "b").exit_code == 0
    assert run("restore", tmp_path / "b", "--home", tmp_path / "other").exit_code == 0
    assert token(tmp_path / "other") == "access-1"
    assert token(tmp_path / "other", refused="access-1") == "access-2"
    assert sent == ["seed", "refresh-1"]
    assert stat.S_IMODE((tmp_path / "other" / "data" / "login.main.cc-main.json").stat().st_mode) == 0o600


def test_nothing_is_saved_while_it_runs_and_nothing_is_written_over(home: Path, tmp_path: Path) -> None:
    (home / "run").mkdir()
    with only_one(home):
        running = run("backup", "--home", home, "--to", tmp_path / "b")
    assert running.exit_code == 4
    assert "segma down" in running.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home"]
    (tmp_path / "b").write_bytes(b"mine")
    assert run("backup", "--home", home, "--to", tmp_path / "b").exit_code == 2
    assert (tmp_path / "b").read_bytes() == b"mine"
    assert run("restore", tmp_path / "b", "--home", home).exit_code == 2


def test_a_secret_that_lies_elsewhere_is_named(home: Path, tmp_path: Path) -> None:
    config = home / "segma.yaml"
    config.write_text(config.read_text().replace("file: secrets/token-keys", "env: SHOP_KEYS"))
    made = run("backup", "--home", home, "--to", tmp_path / "b")
    assert "not in it, keep it elsewhere: the secret in variable SHOP_KEYS" in made.stderr
    restored = run("restore", tmp_path / "b", "--home", tmp_path / "other")
    assert "put the secret in variable SHOP_KEYS back" in restored.stderr


def test_a_link_out_of_the_home_is_refused_by_name(home: Path, tmp_path: Path) -> None:
    (home / "listeners" / "shared").symlink_to(tmp_path)
    made = run("backup", "--home", home, "--to", tmp_path / "b")
    assert made.exit_code == 2
    assert "listeners/shared" in made.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home"]


@pytest.mark.parametrize(
    "odd",
    [
        "data/lists/main/logs/newsletter.txt",
        "data/lists/main/run/newsletter.txt",
        "listeners/bells/looked.yaml",
        "secrets/door.lock",
    ],
)
def test_what_is_called_like_something_that_passes_is_kept_where_it_is_something_else(
    home: Path, tmp_path: Path, odd: str
) -> None:
    (home / odd).parent.mkdir(parents=True, exist_ok=True)
    (home / odd).write_bytes(b"ada@example.com")
    for passing in ("logs/flow.log", "data/log/bells/events/1", "data/deliver.main.mailbox.lock"):
        (home / passing).parent.mkdir(parents=True, exist_ok=True)
        (home / passing).touch()
    assert run("backup", "--home", home, "--to", tmp_path / "b").exit_code == 0
    assert run("restore", tmp_path / "b", "--home", tmp_path / "other").exit_code == 0
    assert (tmp_path / "other" / odd).read_bytes() == b"ada@example.com"
    assert not [path for path in ("run", "logs", "data/log/bells") if (tmp_path / "other" / path).exists()]
    assert not list((tmp_path / "other" / "data").glob("*.lock"))


def test_a_name_that_no_backup_can_keep_is_told_and_nothing_is_made(home: Path, tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(home / "listeners") + b"/\xff.yaml")).touch()
    made = run("backup", "--home", home, "--to", tmp_path / "b")
    assert (made.exit_code, "not UTF-8" in made.stderr) == (2, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home"]


def refused(backup: Path, target: Path) -> str:
    """Restore in vain; what was said. Nothing is left of it."""
    result = run("restore", backup, "--home", target)
    assert result.exit_code == 2, result.output
    assert not target.exists()
    assert not list(target.parent.glob(".*restoring"))
    return result.stderr


def test_a_damaged_backup_is_restored_in_no_part(home: Path, tmp_path: Path) -> None:
    assert run("backup", "--home", home, "--to", tmp_path / "b").exit_code == 0
    whole, chance = (tmp_path / "b").read_bytes(), random.Random(2)
    damaged, target, said = tmp_path / "damaged", tmp_path / "other", set[bool]()
    for _ in range(60):
        at = chance.randrange(len(whole))
        for data in (whole[:at], whole[:at] + bytes([whole[at] ^ 1 << chance.randrange(8)]) + whole[at + 1 :]):
            damaged.write_bytes(data)
            # A bit behind the last part, or one that the form leaves unused, changes nothing of what was saved.
            if run("restore", damaged, "--home", target).exit_code == 0:
                assert tree(target) == {name: each for name, each in tree(home).items() if not name.startswith("run")}
                shutil.rmtree(target)
            else:
                said.add("damaged" in refused(damaged, target))
    assert True in said


def archive(path: Path, fill: Callable[[tarfile.TarFile], None], format_: int = 1) -> Path:
    """A backup made by hand, its digests left out."""
    with zstd.open(path, "wb") as file, tarfile.open(fileobj=file, mode="w|") as tar:
        head = json.dumps({"format": format_, "version": "9.9", "made_at_ms": 1, "log": "home"}).encode()
        member = tarfile.TarInfo(HEAD)
        member.size = len(head)
        tar.addfile(member, io.BytesIO(head))
        fill(tar)
    return path


@pytest.mark.parametrize(
    ("name", "kind", "link"),
    [
        ("home/../../out", tarfile.REGTYPE, ""),
        ("/out", tarfile.REGTYPE, ""),
        ("home/l", tarfile.SYMTYPE, ".."),
        ("home/l", tarfile.SYMTYPE, "../../out"),
        ("home/l", tarfile.SYMTYPE, "/etc"),
        ("home/l", tarfile.LNKTYPE, "home/segma.yaml"),
        ("home/p", tarfile.FIFOTYPE, ""),
        ("home/d", tarfile.CHRTYPE, ""),
    ],
)
def test_a_part_that_leads_elsewhere_is_not_written(tmp_path: Path, name: str, kind: bytes, link: str) -> None:
    def fill(tar: tarfile.TarFile) -> None:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, link
        tar.addfile(member)

    assert "holds what no backup holds" in refused(archive(tmp_path / "b", fill), tmp_path / "other")
    assert not (tmp_path / "out").exists()


def test_a_part_below_a_link_is_not_written(tmp_path: Path) -> None:
    def fill(tar: tarfile.TarFile) -> None:
        for name, kind, link in (("home/a", tarfile.SYMTYPE, "b"), ("home/a/c", tarfile.REGTYPE, "")):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, link
            tar.addfile(member)

    assert "below a link" in refused(archive(tmp_path / "b", fill), tmp_path / "other")


def test_what_is_none_of_ours_or_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    def nothing(_: tarfile.TarFile) -> None:
        pass

    assert "newer release (9.9)" in refused(archive(tmp_path / "b", nothing, format_=2), tmp_path / "other")
    with zstd.open(tmp_path / "c", "wb") as file, tarfile.open(fileobj=file, mode="w|") as tar:
        tar.addfile(tarfile.TarInfo("readme"))
    assert "no backup of Segma's" in refused(tmp_path / "c", tmp_path / "other")
    (tmp_path / "d").write_bytes(b"")
    assert "no backup" in refused(tmp_path / "d", tmp_path / "other")


def test_digests_must_name_every_part_and_no_other(tmp_path: Path) -> None:
    with (tmp_path / "b").open("wb") as file:
        writer = ArchiveWriter(file, Head(1, "1", 1, "home"))
        writer.add("home/segma.yaml", b"{}")
        writer._digests["home/secrets"] = "folder"
        writer.close()
    assert "is damaged" in refused(tmp_path / "b", tmp_path / "other")


@pytest.mark.broker
def test_of_a_kafka_the_records_come_back_that_nobody_could_make_again(
    home: Path, tmp_path: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGMA_LOG", "kafka")
    monkeypatch.setenv("SEGMA_KAFKA_SERVERS", broker.servers)
    monkeypatch.setenv("SEGMA_KAFKA_PREFIX", f"{tmp_path.name}.old.")
    people = [Outgoing(SUBSCRIBERS, b"main/s_%d" % number, b'{"n":%d}' % number) for number in range(2_500)]
    publish(home, *people, Outgoing(SUBSCRIBERS, b"main/s_7", None), Outgoing(OUTCOMES, b"main/mailbox", b"{}"))
    publish(home, Outgoing(EVENTS, b"main/s_1", b"{}"))
    (home / "data" / "recovery").mkdir(parents=True, exist_ok=True)
    (home / "data" / "recovery" / "store").write_bytes(b"of that log")
    saved = {topic: records(home, topic) for topic in KEPT}
    made = run("backup", "--home", home, "--to", tmp_path / "b", "--json")
    assert json.loads(made.stdout)["records"] == sum(map(len, saved.values()))
    assert refused_by_log(tmp_path) == "holds other records"

    monkeypatch.setenv("SEGMA_KAFKA_PREFIX", f"{tmp_path.name}.new.")
    publish(home, *people[:1_200])  # a restore that was cut off
    restored = run("restore", tmp_path / "b", "--home", tmp_path / "other")
    assert restored.exit_code == 0, restored.output
    assert "no runs under way" in restored.stderr
    for topic in KEPT:
        found = records(tmp_path / "other", topic)
        assert found[len(found) - len(saved[topic]) :] == saved[topic]
        assert dict(found) == dict(saved[topic])
    assert records(tmp_path / "other", EVENTS) == []
    assert not (tmp_path / "other" / "data" / "recovery").exists()


def refused_by_log(tmp_path: Path) -> str:
    """Restore onto the log that was saved from, after it has gone on."""
    kept = run("restore", tmp_path / "b", "--home", tmp_path / "kept", "--log", "kept")
    assert kept.exit_code == 0, kept.output
    publish(tmp_path / "kept", Outgoing(SUBSCRIBERS, b"main/s_new", b"{}"))
    result = run("restore", tmp_path / "b", "--home", tmp_path / "other")
    assert result.exit_code == 2
    assert not (tmp_path / "other").exists()
    return "holds other records" if "holds other records" in result.stderr else result.stderr


def test_a_place_that_cannot_be_written_is_told_in_a_sentence(home: Path, tmp_path: Path) -> None:
    made = run("backup", "--home", home, "--to", tmp_path / "none" / "b")
    assert (made.exit_code, "cannot be made" in made.stderr) == (2, True)
    assert run("backup", "--home", home, "--to", tmp_path / "b").exit_code == 0
    (tmp_path / "file").write_bytes(b"")
    restored = run("restore", tmp_path / "b", "--home", tmp_path / "file" / "other")
    assert (restored.exit_code, "cannot be made" in restored.stderr) == (2, True)


def test_a_backup_without_a_home_is_restored_as_nothing(tmp_path: Path) -> None:
    with (tmp_path / "b").open("wb") as file:
        ArchiveWriter(file, Head(1, "1", 1, "home")).close()
    assert "cannot be made" in refused(tmp_path / "b", tmp_path / "other")


def test_help_says_what_a_restored_home_lacks() -> None:
    assert "forgotten since" in (restore_command.help or "")
