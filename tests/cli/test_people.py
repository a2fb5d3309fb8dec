"""``segma import``, ``link`` and ``tokens``: people in, links out, addresses nowhere else."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from click.testing import CliRunner, Result

from cli.__main__ import cli
from cli.links import link_of
from cli.people import import_people
from contracts.topics import ROWS, SUBSCRIBERS
from sinks.base import Member
from sinks.delivery.directory import Directory
from transport import open_log
from transport.config import Settings

CONFIG = """
token_keys: {file: keys}
workspaces:
  demo:
    secret: {file: secret}
    sites: {shop: {key: shop-key, token_param: t, campaign_param: c}}
    accounts: {mailbox: {sink: file}}
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "segma.yaml").write_text(CONFIG)
    (tmp_path / "secret").write_text("s" * 40)
    (tmp_path / "keys").write_text(f"k1 {'ab' * 64}\n")
    lists = tmp_path / "data" / "lists" / "demo" / "mailbox"
    lists.mkdir(parents=True)
    (lists / "newsletter.txt").write_text("Anna@Example.org\nben@example.org\n")
    return tmp_path


def segma(home: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, [*words, "--home", str(home)])


def said(result: Result) -> dict[str, object]:
    assert result.exit_code == 0, result.output
    found: dict[str, object] = json.loads(result.stdout.splitlines()[-1])
    return found


def test_importing_twice_changes_nothing(home: Path) -> None:
    first = said(segma(home, "import", "demo/mailbox", "newsletter", "--json"))
    assert (first["people"], first["new"]) == (2, 2)
    tokens = segma(home, "tokens", "demo").stdout
    again = said(segma(home, "import", "demo/mailbox", "newsletter", "--json"))
    assert (again["people"], again["new"]) == (2, 0)
    assert segma(home, "tokens", "demo").stdout == tokens


def test_the_platforms_own_ids_are_kept_for_webhooks_that_name_people_by_them(home: Path) -> None:
    for person in ("7", "9", ""):
        import_people(home, "demo/mailbox", "newsletter", iter([Member("anna@example.org", "Anna", person=person)]))
    log = open_log(Settings(data=home / "data"))
    directory = Directory(log)
    (entry,) = directory.people("demo")
    directory.close()
    log.close()
    assert (entry.platform_ids, entry.name) == ({"mailbox": "9"}, "Anna")


def test_no_address_stands_in_a_record_but_the_directorys(home: Path) -> None:
    segma(home, "import", "demo/mailbox", "newsletter")
    log = open_log(Settings(data=home / "data"))
    for topic in log.topics():
        text = b"".join(record.key + (record.value or b"") for record in log.reader(topic.name).poll(1_000))
        assert (b"example.org" in text.lower()) == (topic.name == SUBSCRIBERS), topic.name
    assert len(log.reader(ROWS).poll(1_000)) == 2
    log.close()


@pytest.mark.parametrize(
    "words",
    [
        ("import", "demo/nobody", "newsletter"),
        ("import", "demo/mailbox", "nolist"),
        ("link", "nowhere", "a@b.example", "--url", "https://shop.example/"),
        ("tokens", "nowhere"),
    ],
)
def test_what_is_not_there_is_told(home: Path, words: tuple[str, ...]) -> None:
    result = segma(home, *words)
    assert result.exit_code == 2
    assert "problem" in result.stderr


def test_a_link_carries_the_persons_token(home: Path) -> None:
    segma(home, "import", "demo/mailbox", "newsletter")
    words = (
        "link",
        "demo",
        "anna@example.org",
        "--url",
        "https://shop.example/a?x=1",
        "--campaign",
        "spring",
        "--json",
    )
    told = said(segma(home, *words))
    assert told["link"] == f"https://shop.example/a?x=1&c=spring#t={told['token']}"
    queried = said(segma(home, *words, "--query"))
    assert queried["link"] == f"https://shop.example/a?x=1&c=spring&t={told['token']}"
    same = said(segma(home, "link", "demo", str(told["subscriber"]), "--url", "https://shop.example/", "--json"))
    assert same["token"] == told["token"]
    assert "example.org" not in str(told)


@pytest.mark.parametrize(
    ("url", "link"),
    [
        ("https://shop.example", "https://shop.example#sgm=k1.T"),
        (
            "https://shop.example/größe?q=caf%E9&flag&a=x%20y+z;k=%3B",
            "https://shop.example/größe?q=caf%E9&flag&a=x%20y+z;k=%3B#sgm=k1.T",
        ),
        ("https://shop.example/?", "https://shop.example/?#sgm=k1.T"),
        ("https://shop.example/#prices", "https://shop.example/#prices&sgm=k1.T"),
        ("https://shop.example/#/a/b", "https://shop.example/#/a/b?sgm=k1.T"),
        ("https://shop.example/#!/a?x=1", "https://shop.example/#!/a?x=1&sgm=k1.T"),
        ("https://shop.example/a#:~:text=shoes", "https://shop.example/a#sgm=k1.T:~:text=shoes"),
    ],
)
def test_the_pages_address_stays_byte_for_byte(url: str, link: str) -> None:
    assert link_of(url, "k1.T", "", names=("sgm", "utm_campaign")) == link
    redirected = link_of(url, "k1.T", "a b", names=("sgm", "utm_campaign"), collector="https://c.example/")
    assert unquote(redirected.partition("?u=")[2].partition("&")[0]) == url
    assert redirected.startswith("https://c.example/r/k1.T/fragment?")
    assert redirected.endswith("&utm_campaign=a%20b")


def test_a_link_by_the_query_keeps_what_a_browser_scrolls_to() -> None:
    link = link_of("https://x.example/a#:~:text=b", "k1.T", "", names=("sgm", "c"), fragment=False)
    assert link == "https://x.example/a?sgm=k1.T#:~:text=b"


def test_a_campaign_takes_the_place_of_the_pages_own() -> None:
    link = link_of("https://x.example/?utm_campaign=old&a=1", "k1.T", "new", names=("sgm", "utm_campaign"))
    assert link == "https://x.example/?a=1&utm_campaign=new#sgm=k1.T"


def test_a_redirect_link_leads_through_the_collector(home: Path) -> None:
    segma(home, "import", "demo/mailbox", "newsletter")
    words = ("link", "demo", "ben@example.org", "--url", "https://shop.example/a", "--redirect", "https://c.example")
    link = segma(home, *words).stdout.strip()
    assert link.startswith("https://c.example/r/k1.")
    assert urlsplit(link).path.endswith("/fragment"), "the token lands where no log sees it"
    assert parse_qs(urlsplit(link).query) == {"u": ["https://shop.example/a"]}
    assert not urlsplit(segma(home, *words, "--query").stdout.strip()).path.endswith("/fragment")


def test_a_redirect_that_would_refuse_the_page_is_told_at_once(home: Path) -> None:
    segma(home, "import", "demo/mailbox", "newsletter")
    words = (
        "link",
        "demo",
        "ben@example.org",
        "--url",
        "https://shop.example:443/a",
        "--redirect",
        "https://c.example",
    )
    assert "redirect_hosts" in segma(home, *words).stderr
    allowed = CONFIG.replace("key: shop-key", "key: shop-key, redirect_hosts: [shop.example]")
    (home / "segma.yaml").write_text(allowed)
    assert segma(home, *words).stderr == ""


def test_an_unknown_person_has_no_link(home: Path) -> None:
    result = segma(home, "link", "demo", "nobody@example.org", "--url", "https://shop.example/")
    assert result.exit_code == 1
    assert "nobody" not in result.stderr


@pytest.mark.parametrize("is_there", [False, True])
def test_the_file_for_an_upload_is_its_owners_alone(home: Path, tmp_path: Path, is_there: bool) -> None:
    segma(home, "import", "demo/mailbox", "newsletter")
    target = tmp_path / "upload.csv"
    if is_there:
        target.touch(0o644)
    assert segma(home, "tokens", "demo", "--out", str(target)).exit_code == 0
    assert target.stat().st_mode & 0o777 == 0o600
    assert target.read_text().splitlines()[0] == "address,token"
    assert "anna@example.org" in target.read_text()
