"""``segma import --csv``: every platform's export, whatever its encoding, delimiter, columns and language."""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cli.__main__ import cli
from cli.importing.addresses import NotAnAddress, mailbox_of
from cli.importing.consent import LEFT, ListStatus, status_of
from cli.importing.export_file import Role, read_export
from cli.importing.plan import plan_of_files
from contracts.errors import ConfigError
from contracts.topics import ROWS, SUBSCRIBERS, VETOES
from tests.cli.exports import EXPORTS, Export
from tests.cli.importing_home import directory_of, home, segma_import, told
from transport import open_log
from transport.config import Settings

__all__ = ["home"]


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
        ("zoe@example.org;", "zoe@example.org", ""),
        ("Zoe <zoe@example.org>,", "zoe@example.org", "Zoe"),
        ("mailto:zoe%2Btag@example.org?body=a%0Ab", "zoe+tag@example.org", ""),
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


def test_a_preview_says_what_would_be_taken_and_writes_nothing(home: Path) -> None:
    path = home / "people.csv"
    path.write_text("E-Mail;Vorname;Status\nann@example.org;Ann;Aktiv\nben@example.org;Ben;Abgemeldet\nfoo@;Foo;\n")
    words = ["import", "demo/mailbox", "newsletter", "--csv", str(path), "--dry-run", "--home", str(home)]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 1, done.output
    for part in (
        "1 person of newsletter",
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
