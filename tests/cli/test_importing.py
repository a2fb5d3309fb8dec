"""``segma import --csv``: every platform's export, whatever its encoding, delimiter, columns and language."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cli.__main__ import cli
from cli.importing.addresses import NotAnAddress, mailbox_of
from cli.importing.consent import LEFT, WORDS, ListStatus, status_of
from cli.importing.export_file import Role, read_export
from cli.importing.plan import plan_of_files
from cli.people import import_people
from contracts.accounts import Fact, Veto
from contracts.codec import json_reader, to_json
from contracts.errors import ConfigError
from contracts.log import Outgoing
from contracts.reading import all_of
from contracts.reasons import Reason
from contracts.tokens import subscriber_id
from contracts.topics import ROWS, SUBSCRIBERS, VETOES, fact_key, fixed_topics
from sinks.base import Member, Standing
from sinks.delivery.account_state import AccountStatus
from sinks.delivery.directory import Directory
from tests.cli.exports import EXPORTS, Export
from transport import open_log
from transport.config import Settings

CONFIG = """
token_keys: {file: keys}
workspaces:
  demo:
    secret: {file: secret}
    sites: {shop: {key: shop-key}}
    accounts: {mailbox: {sink: file}}
"""
SECRET = "s" * 40
read_veto = json_reader(Veto)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "segma.yaml").write_text(CONFIG)
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "keys").write_text(f"k1 {'ab' * 64}\n")
    return tmp_path


def segma_import(home: Path, text: str | bytes, *options: str, name: str = "people.csv") -> Result:
    path = home / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    words = ["import", "demo/mailbox", "newsletter", "--csv", str(path), *options, "--json", "--home", str(home)]
    return CliRunner().invoke(cli, words)


def told(result: Result) -> dict[str, object]:
    found: dict[str, object] = json.loads(result.stdout.splitlines()[-1])
    return found


def directory_of(home: Path) -> dict[str, str]:
    log = open_log(Settings(data=home / "data"))
    log.ensure(fixed_topics())
    found = {entry.address: entry.name for entry in Directory(log).people("demo")}
    log.close()
    return found


def vetoes_of(home: Path) -> dict[tuple[str, str], Veto]:
    log = open_log(Settings(data=home / "data"))
    vetoes = [read_veto(record.value) for record in all_of(log, VETOES) if record.value is not None]
    log.close()
    return {(veto.subscriber, veto.list_name): veto for veto in vetoes}


def id_of(address: str) -> str:
    return subscriber_id(SECRET.encode(), address)


@pytest.mark.parametrize("export", EXPORTS, ids=lambda export: f"{export.platform}-{export.file_name}")
def test_every_platforms_export_is_read_as_it_is(tmp_path: Path, export: Export) -> None:
    path = tmp_path / export.file_name
    path.write_bytes(export.data)
    file = read_export(path)
    plan = plan_of_files([file])
    assert file.format.name == export.platform
    assert {member.address: member.name for member in plan.members} == export.members
    assert plan.left_out == Counter(export.left_out)
    assert plan.bad == []


def test_the_files_of_one_export_are_read_together(home: Path) -> None:
    files = [export for export in EXPORTS if export.platform == "mailchimp"]
    words = []
    for each in files:
        (home / each.file_name).write_bytes(each.data)
        words += ["--csv", str(home / each.file_name)]
    done = CliRunner().invoke(cli, ["import", "demo/mailbox", "newsletter", *words, "--json", "--home", str(home)])
    assert done.exit_code == 0, done.output
    assert (told(done)["people"], told(done)["vetoes"]) == (1, 2)
    assert directory_of(home) == {"ada@example.org": "Ada Ohm"}


# Consent


def test_who_left_is_no_member_and_is_moved_by_nobody(home: Path) -> None:
    rows = "ada@example.org,Ada,active\ngone@example.org,Gone,unsubscribed\nspam@example.org,S,complained\n"
    done = segma_import(home, f"address,name,status\n{rows}bounce@example.org,B,bounced\n")
    assert told(done)["left_out"] == {"unsubscribed": 1, "complained": 1, "undeliverable": 1}
    assert directory_of(home) == {"ada@example.org": "Ada"}
    log = open_log(Settings(data=home / "data"))
    gate = AccountStatus(log, "demo", "mailbox", lambda: 0)
    assert [gate.veto(id_of(f"{who}@example.org"), ["warm"]) for who in ("ada", "gone", "spam", "bounce")] == [
        None,
        Reason.UNSUBSCRIBED,
        Reason.COMPLAINED,
        None,
    ]
    gate.close()
    assert len(list(all_of(log, ROWS))) == 1
    log.close()
    assert vetoes_of(home)[id_of("spam@example.org"), ""].reason == "email_complained"


def test_a_leaving_is_dated_as_the_file_dates_it_and_an_import_lifts_nothing(home: Path) -> None:
    left = "email,status,unsubscribed_at\ngone@example.org,unsubscribed,2024-01-02T03:04:05Z\n"
    assert told(segma_import(home, left))["vetoes"] == 1
    assert vetoes_of(home)[id_of("gone@example.org"), ""].at_ms == 1_704_164_645_000
    assert told(segma_import(home, left))["vetoes"] == 0
    back = "email,status\ngone@example.org,subscribed\n"
    assert told(segma_import(home, back))["people"] == 1
    assert (id_of("gone@example.org"), "") in vetoes_of(home)


def test_who_joined_again_after_the_files_leaving_is_not_vetoed_by_it(home: Path) -> None:
    left = "email,status,unsubscribed_at\ngone@example.org,unsubscribed,2024-01-02T03:04:05Z\n"
    segma_import(home, left)
    log = open_log(Settings(data=home / "data"))
    joined = Veto("demo", "mailbox", id_of("gone@example.org"), "", 1_800_000_000_000, fact=Fact.JOINED)
    log.publisher().publish([Outgoing(VETOES, fact_key(joined), to_json(joined))])
    log.close()
    assert told(segma_import(home, left))["vetoes"] == 0
    undated = "email,status\ngone@example.org,unsubscribed\n"
    assert told(segma_import(home, undated))["vetoes"] == 1


def test_of_a_person_in_two_rows_the_graver_one_counts(home: Path) -> None:
    rows = "email,status\nann@example.org,active\nANN@example.org ,unsubscribed\nann@Example.Org,active\n"
    done = told(segma_import(home, rows))
    assert (done["people"], done["left_out"]) == (0, {"unsubscribed": 1})


def test_a_status_that_nobody_knows_makes_no_member_and_is_shown(home: Path) -> None:
    rows = "email,status\nann@example.org,customer\nben@example.org,\ncleo@example.org\n"
    done = told(segma_import(home, rows))
    assert (done["people"], done["left_out"]) == (0, {"unclear": 3})
    assert done["files"][0]["unclear"] == {"status": ["", "customer"]}  # type: ignore[index]
    assert told(segma_import(home, rows, "--column", "status="))["people"] == 3


def test_a_leaving_in_a_column_of_any_name_counts(home: Path) -> None:
    rows = "email,remark\nann@example.org,\nben@example.org,Unsubscribed\ncleo@example.org,likes shoes\n"
    done = told(segma_import(home, rows))
    assert (done["people"], done["left_out"]) == (2, {"unsubscribed": 1})


def test_a_country_s_state_is_no_status(home: Path) -> None:
    assert told(segma_import(home, "email,State\nann@example.org,CA\nben@example.org,NY\n"))["people"] == 2
    assert told(segma_import(home, "email,Estado\ncleo@example.org,Baja California\ndan@example.org,\n"))["people"] == 2


def test_a_newsletter_s_name_is_no_yes_and_an_empty_column_says_nothing(home: Path) -> None:
    assert told(segma_import(home, "email,Newsletter\nann@example.org,Weekly\nben@example.org,no\n"))["people"] == 2
    assert told(segma_import(home, "email,Newsletter\ncleo@example.org,\ndan@example.org,\n"))["people"] == 2


@pytest.mark.parametrize("date", ["0001-01-01T00:00:00", "1970-01-01 00:00:00", "1900-01-01", "1899-12-30"])
def test_the_date_that_a_program_writes_for_none_is_no_leaving(home: Path, date: str) -> None:
    assert told(segma_import(home, f"email,Unsubscribed at\nann@example.org,{date}\n"))["people"] == 1


@pytest.mark.parametrize(
    ("header", "left", "stays"),
    [
        ("Unsubscribed from all email", "Yes", ""),
        ("Opted out of email: Newsletter", "true", "false"),
        ("Abgemeldet", "ja", "nein"),
        ("is_subscribed", "0", "1"),
        ("Accepts Email Marketing", "no", "yes"),
        ("EMAIL_BLACKLISTED", "1", "0"),
        ("Cancelled At", "2024-01-02", ""),
        ("Statut", "Désabonné", "Abonné"),
        ("Estado", "Dado de baja", "Activo"),
        ("Статус", "отписан", "подписан"),
        ("ステータス", "配信停止", "購読中"),
        ("Subscription Status", "UNSUBSCRIBED", "SUBSCRIBED"),
        ("email_marketing_consent", "unsubscribed", "subscribed"),
        ("Email status", "Opted-Out", "Opted-In"),
        ("Statut", "Désabonné(e)", "Abonné(e)"),
        ("Estado", "Dado/a de baja", "Suscrito/a"),
        ("Stato", "Annullato", "Iscritto/a"),
        ("Status", "Gekündigt", "Aktiv"),
        ("Status", "Opgezegd", "Geabonneerd"),
        ("Newsletter", "nein", "ja"),
        ("GDPR consent", "no", "yes"),
    ],
)
def test_columns_of_consent_in_any_case_and_language(home: Path, header: str, left: str, stays: str) -> None:
    done = told(segma_import(home, f"E-Mail;{header}\nann@example.org;{left}\nben@example.org;{stays}\n"))
    assert (done["people"], done["vetoes"]) == (1, 1), done
    assert directory_of(home) == {"ben@example.org": ""}


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("Hard Bounced", ListStatus.UNDELIVERABLE),
        ("cleaned", ListStatus.UNDELIVERABLE),
        ("Spam complaint", ListStatus.COMPLAINED),
        ("abuse", ListStatus.COMPLAINED),
        ("Blocklisted", ListStatus.BLOCKED),
        ("globally suppressed", ListStatus.BLOCKED),
        ("Unsubscribed by user", ListStatus.UNSUBSCRIBED),
        ('["SUBSCRIBED", "BOUNCED"]', ListStatus.UNDELIVERABLE),
        ("not subscribed", ListStatus.NOT_MEMBER),
        ("whatever", ListStatus.UNCLEAR),
        ("", ListStatus.UNCLEAR),
    ],
)
def test_words_of_consent(word: str, status: ListStatus) -> None:
    assert status_of(word) is status


def test_no_word_but_a_known_one_is_active() -> None:
    active = {word for word, status in WORDS.items() if status is ListStatus.ACTIVE}
    for word in active:
        for other in (f"not {word}", f"un{word}", f"{word} never", f"ex-{word}"):
            assert status_of(other) is not ListStatus.ACTIVE, other


def test_everybody_in_a_file_is_what_the_option_says(home: Path) -> None:
    done = told(segma_import(home, "email\nann@example.org\n", "--everybody", "unsubscribed"))
    assert (done["people"], done["vetoes"]) == (0, 1)


def test_of_a_platforms_list_only_those_who_are_active_are_members(home: Path) -> None:
    members = [Member(f"{standing}@example.org", str(standing), standing, "7") for standing in Standing]
    done = import_people(
        home, "demo/mailbox", "newsletter", [*members, Member("", "by phone"), Member("ann@corp.local")]
    )
    assert done.left_out == {"pending": 1, "unsubscribed": 1, "undeliverable": 1, "no_address": 1}
    assert directory_of(home) == {"active@example.org": "active", "ann@corp.local": ""}
    log = open_log(Settings(data=home / "data"))
    assert len(list(all_of(log, ROWS))) == 2
    log.close()


# Addresses


@pytest.mark.parametrize(
    ("cell", "address", "name"),
    [
        ("Zoe Z <zoe@example.org>", "zoe@example.org", "Zoe Z"),
        ('"Z, Zoe" <zoe@example.org>', "zoe@example.org", "Z, Zoe"),
        ("<zoe@example.org>", "zoe@example.org", ""),
        ("mailto:zoe@example.org", "zoe@example.org", ""),
        ("MAILTO:zoe@example.org?subject=hello", "zoe@example.org", ""),
        ("zoe\u200b@example.org\ufeff", "zoe@example.org", ""),
        ("\u00a0zoe@example.org\t", "zoe@example.org", ""),
        ("zoe@example.org <zoe@example.org>", "zoe@example.org", "zoe@example.org"),
        ("zoe+tag@sub.example.org", "zoe+tag@sub.example.org", ""),
        ("zoë@müller.example", "zoë@müller.example", ""),
        ("zoe@xn--mller-kva.example", "zoe@xn--mller-kva.example", ""),
        ("o'neil@example.org", "o'neil@example.org", ""),
        ("zoe@example.org.", "zoe@example.org", ""),
    ],
)
def test_one_address_is_found_in_a_cell(cell: str, address: str, name: str) -> None:
    assert mailbox_of(cell) == (address, name)


@pytest.mark.parametrize(
    "cell",
    [
        *("", " ", "zoe", "foo@", "@example.org", "*@example.org", "%@example.org", "zoe@example", "zoe@localhost"),
        *("zoe@example.org, ann@example.org", "zoe@example.org;ann@example.org", "zoe@example.org ann@example.org"),
        *("zoe@ann@example.org", "Zoe <zoe@example.org>, Ann <ann@example.org>", "ann@example.org <zoe@example.org>"),
        *("zo\x00e@example.org", "zoe@exa\x00mple.org", "zoe @example.org", "zoe@example..org", "zoe@.example.org"),
        *("zoe@example.org\nann@example.org", "zoe@-example.org", "a" * 300 + "@example.org", "zoe@[127.0.0.1]"),
        *("n/a", "none@", "zoe@exa mple.org", "zoe(at)example.org", "https://example.org/@zoe"),
    ],
)
def test_what_is_no_mailbox_is_nobody_and_is_not_repeated(cell: str) -> None:
    with pytest.raises(NotAnAddress) as error:
        mailbox_of(cell)
    assert "example" not in str(error.value)


def test_bad_rows_are_named_and_left_out_and_strict_refuses_the_file(home: Path) -> None:
    rows = "address,name\nada@example.org,Ada\nfoo@,Foo\nzoe@example.org,Zoe,extra\nben@example.org,Ben\n"
    refused = segma_import(home, rows, "--strict")
    assert refused.exit_code == 2
    assert [f"people.csv:{line}:" in refused.stderr for line in (2, 3, 4, 5)] == [False, True, True, False]
    assert directory_of(home) == {}
    done = segma_import(home, rows)
    assert done.exit_code == 1
    assert (told(done)["people"], told(done)["bad"]) == (2, 2)
    assert ("line 3: half an address" in done.stderr, "line 4: 3 cells, the header has 2" in done.stderr) == (
        True,
        True,
    )
    assert "foo@" not in done.stderr
    assert directory_of(home) == {"ada@example.org": "Ada", "ben@example.org": "Ben"}


def test_a_quote_that_is_never_closed_costs_its_own_row(home: Path) -> None:
    done = segma_import(home, 'email,name\nann@example.org,"Ann\nben@example.org,Ben\ncleo@example.org,Cleo\n')
    assert "line 2: a quote is opened and never closed" in done.stderr
    assert directory_of(home) == {"ben@example.org": "Ben", "cleo@example.org": "Cleo"}


def test_the_same_person_however_an_address_is_written(home: Path) -> None:
    rows = ["zoe@example.org", "Zoe Z <ZOE@Example.Org>", "mailto:zoe@example.org", "zoe\u200b@example.org"]
    done = told(segma_import(home, "email\n" + "\n".join(rows) + "\n"))
    assert (done["people"], done["new"]) == (1, 1)


# The file


def test_a_preview_says_what_would_be_taken_and_writes_nothing(home: Path) -> None:
    path = home / "people.csv"
    path.write_text("E-Mail;Vorname;Status\nann@example.org;Ann;Aktiv\nben@example.org;Ben;Abgemeldet\nfoo@;Foo;\n")
    words = ["import", "demo/mailbox", "newsletter", "--csv", str(path), "--dry-run", "--home", str(home)]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 1, done.output
    for part in (
        "1 people",
        "E-Mail",
        "address",
        "Vorname",
        "first_name",
        "status",
        "1 unsubscribed",
        "Nothing was written",
    ):
        assert part in done.stdout
    assert "example.org" not in done.output
    log = open_log(Settings(data=home / "data"))
    assert [sum(log.end(topic).values()) for topic in (SUBSCRIBERS, ROWS, VETOES)] == [0, 0, 0]
    log.close()


def test_columns_that_have_other_names_are_named(home: Path) -> None:
    rows = "Contact,Who,When gone\nann@example.org,Ann,\nben@example.org,Ben,2024-01-02\n"
    refused = segma_import(home, rows)
    assert refused.exit_code == 2
    assert "--column address=Contact" in refused.stderr
    options = ("--column", "address=contact", "--column", "name=Who", "--column", "left_at=When gone")
    assert told(segma_import(home, rows, *options))["people"] == 1
    assert directory_of(home) == {"ann@example.org": "Ann"}
    assert segma_import(home, rows, "--column", "address=nowhere").exit_code == 2
    assert segma_import(home, rows, "--column", "colour=Who").exit_code == 2


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\xff\xfe\x00", b"name,city\nAnn,Bern\n"])
def test_what_is_no_table_of_people_is_refused_in_a_sentence(home: Path, data: bytes) -> None:
    refused = segma_import(home, data)
    assert refused.exit_code == 2
    assert "Traceback" not in refused.output


def test_a_streets_address_is_not_taken_for_an_email_address(home: Path) -> None:
    done = segma_import(home, "Address,Email\n1 Main St,ann@example.org\n2 Main St,\n")
    assert (told(done)["people"], "line 3" in done.stderr) == (1, True)


people = st.lists(
    st.tuples(
        st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True),
        st.text(st.characters(codec="cp1252", exclude_categories=["Cc", "Cf", "Zs"]), max_size=8),
        st.sampled_from(["subscribed", "Unsubscribed", "BOUNCED", "complained", "pending", "?", ""]),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    people,
    st.permutations(["E-Mail Address", "first_name", "Subscription Status", "Notes"]),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
    st.sampled_from([str.upper, str.lower, str.title]),
)
def test_any_file_gives_the_people_that_were_written_into_it(
    tmp_path: Path,
    given_people: list[tuple[str, str, str]],
    header: list[str],
    delimiter: str,
    encoding: str,
    newline: str,
    quoted: bool,
    case: object,
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(
        text, delimiter=delimiter, lineterminator=newline, quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
    )
    writer.writerow([case(name) for name in header])  # type: ignore[operator]
    said: dict[str, list[ListStatus]] = {}
    for local, name, status in given_people:
        cells = {"E-Mail Address": f"{local}@example.org", "first_name": name, "Subscription Status": status}
        writer.writerow([cells.get(column, f'said: "a{delimiter}b",{newline}twice') for column in header])
        said.setdefault(f"{local}@example.org", []).append(status_of(status))
    path = tmp_path / "any.csv"
    path.write_bytes(text.getvalue().encode(encoding))
    plan = plan_of_files([read_export(path)])
    grave = {address: max(found, key=list(ListStatus).index) for address, found in said.items()}
    assert plan.bad == []
    assert {member.address for member in plan.members} == {
        address for address, status in grave.items() if status is ListStatus.ACTIVE
    }
    assert {leaving.address for leaving in plan.leavings} == {
        address for address, status in grave.items() if status in LEFT
    }
    assert sum(plan.left_out.values()) + len(plan.members) == len(grave)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=200) | st.text(max_size=80).map(lambda text: f"email,status\n{text}".encode("utf-8", "replace"))
)
def test_no_file_breaks_the_reading_and_no_row_is_lost(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "any.csv"
    path.write_bytes(data)
    try:
        file = read_export(path)
    except ConfigError:
        return
    assert len(file.people) + len(file.bad) == len(file.table.rows) + len(file.table.bad)
    assert all(mailbox_of(person.address).address == person.address for person in file.people)


def test_roles_are_what_the_option_names() -> None:
    assert [str(role) for role in Role] == ["address", "name", "first_name", "last_name", "status", "left_at"]
