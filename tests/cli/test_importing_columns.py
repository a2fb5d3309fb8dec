"""Columns of consent that no table names: told by parts of their names, and by yes, no and dates alone in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.importing.addresses import mailbox_of
from cli.importing.consent import ListStatus
from cli.importing.export_file import read_export
from cli.importing.plan import ImportPlan, plan_of_files


def _plan(home: Path, data: str | bytes) -> ImportPlan:
    path = home / "people.csv"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return plan_of_files([read_export(path)])


def _left(home: Path, header: str, left: str, stays: str) -> list[str]:
    plan = _plan(home, f"email\t{header}\nann@example.org\t{left}\nben@example.org\t{stays}\n")
    assert [member.address for member in plan.members] == ["ben@example.org"], plan
    assert "unclear" not in plan.left_out
    return [str(each.status) for each in plan.leavings]


@pytest.mark.parametrize(
    ("header", "left", "stays"),
    [
        ("Email Opted Out", "Yes", "No"),
        ("hs_email_optout", "true", "false"),
        ("opt_out_email", "1", "0"),
        ("Global Unsubscribe", "TRUE", "FALSE"),
        ("Unsubscribed (Y/N)", "Y", "N"),
        ("donotbulkemail", "true", "false"),
        ("Do not allow Bulk Emails", "Do Not Allow", "Allow"),
        ("DoNotEMail", "Do Not Allow", "Allow"),
        ("DNC", "1", "0"),
        ("Unsubscribed Date/Time", "1/2/2025 10:00 PM", ""),
        ("Newsletter abbestellt am", "1.2.2025", ""),
        ("Abmeldung", "ja", "nein"),
        ("Désabonnement", "oui", "non"),
        ("Désinscription", "2025-01-01", ""),
        ("Fecha baja", "2025-02-01", "-"),
        ("Baja", "sí", "no"),
        ("Disiscrizione", "sì", "no"),
        ("Afmelding", "ja", "nee"),
        ("Дата отписки", "31.12.2024", ""),
        ("Unsubscribed lists", "Weekly; Daily", ""),
        ("unsubscribed", "✓", ""),
        ("unsubscribed", "☑", "☐"),
        ("unsubscribed", "✔️", "—"),
        ("unsubscribed", "checked", "unchecked"),
        ("unsubscribed", "WAHR", "FALSCH"),
        ("unsubscribed", "VRAI", "FAUX"),
        ("unsubscribed", "VERDADERO", "FALSO"),
        ("unsubscribed", "ИСТИНА", "ЛОЖЬ"),
        ("Status", "consent withdrawn", "подписан"),
        ("Permission", "Unsubscribed", "Express"),
    ],
)
def test_who_left_is_known_by_any_column_that_is_named_for_it(home: Path, header: str, left: str, stays: str) -> None:
    assert _left(home, header, left, stays) == ["unsubscribed"]


@pytest.mark.parametrize(
    ("header", "left", "stays", "status"),
    [
        ("Spam", "1", "0", ListStatus.COMPLAINED),
        ("Complaints", "yes", "no", ListStatus.COMPLAINED),
        ("Suppressed globally", "true", "false", ListStatus.BLOCKED),
    ],
)
def test_graver_columns_are_graver(home: Path, header: str, left: str, stays: str, status: ListStatus) -> None:
    assert _left(home, header, left, stays) == [str(status)]


@pytest.mark.parametrize(
    ("header", "out", "stays"),
    [
        ("Hard Bounces", "1", "0"),
        ("disabled", "1", "0"),
        ("confirmed", "0", "1"),
        ("is_active", "false", "true"),
        ("Enabled", "no", "yes"),
        ("Deleted", "true", "false"),
        ("Permission", "No permission", "Express"),
    ],
)
def test_who_is_no_member_is_left_out_and_has_not_left(home: Path, header: str, out: str, stays: str) -> None:
    assert _left(home, header, out, stays) == []


@pytest.mark.parametrize(
    ("header", "one", "other"),
    [
        ("Unsubscribe link", "https://shop.example/u/1", "https://shop.example/u/2"),
        ("Opt-out code", "a81b", "77cc"),
        ("Cancelled orders", "1", "0"),
        ("Bounces", "3", "0"),
        ("Blocks bought", "3", "12"),
        ("Not unsubscribed", "yes", "yes"),
        ("Complaints", "about the sizes", ""),
        ("confirmed", "2024-01-02", ""),
        ("active", "every day", "now and then"),
        ("unsubscribed", "☐", "[ ]"),
        ("Newsletter", "Weekly", "abc"),
        ("Estado", "Baja California", "Sonora"),
    ],
)
def test_columns_that_only_sound_like_it_say_nothing(home: Path, header: str, one: str, other: str) -> None:
    plan = _plan(home, f"email\t{header}\nann@example.org\t{one}\nben@example.org\t{other}\n")
    assert len(plan.members) == 2, plan


def test_a_sign_that_nobody_can_read_makes_no_member(home: Path) -> None:
    plan = _plan(home, "email,unsubscribed\nann@example.org,✗\nben@example.org,\n")
    assert [member.address for member in plan.members] == ["ben@example.org"]
    assert (plan.left_out, plan.leavings) == ({"unclear": 1}, [])


@pytest.mark.parametrize(
    "top",
    [
        b"Contacts exported 2026-01-01\n\n",
        b"Report;;\nFilter: all;;\n",
        b"\xef\xbb\xbf\xef\xbb\xbfAudience, in all\n",
        b"sep=;\n",
    ],
)
def test_a_header_is_found_below_a_reports_title(home: Path, top: bytes) -> None:
    plan = _plan(home, top + b"E-Mail;Status\r\nann@example.org;active\r\nben@example.org;unsubscribed\r\n")
    assert [member.address for member in plan.members] == ["ann@example.org"]
    assert [each.address for each in plan.leavings] == ["ben@example.org"]
    assert plan.bad == []


def test_a_list_without_a_header_is_not_searched_for_one(home: Path) -> None:
    plan = _plan(home, "ann@example.org,Ann\nemail,nobody\nben@example.org,Ben\n")
    assert [member.address for member in plan.members] == ["ann@example.org", "ben@example.org"]


@pytest.mark.parametrize(
    "cell", ["'zoe@example.org", "'zoe@example.org'", '"zoe@example.org"', '="zoe@example.org"', "' zoe@example.org '"]
)
def test_what_keeps_a_spreadsheet_from_reckoning_is_no_part_of_an_address(cell: str) -> None:
    assert mailbox_of(cell).address == "zoe@example.org"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where the file lies."""
    return tmp_path


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1251", "email,имя,статус\nann@example.org,Анна,отписан\nben@example.org,Боря,подписан\n"),
        ("koi8-r", "имейл,имя,статус\nann@example.org,Анна,отписалась\nben@example.org,Боря,активен\n"),
        ("cp1251", "email;name;status\nann@example.org;А;отписан\nben@example.org;Б;подписан\n"),
        ("cp932", "メールアドレス,名前,ステータス\nann@example.org,花子,配信停止\nben@example.org,太郎,購読中\n"),
        ("gb18030", "邮箱\t姓名\t状态\nann@example.org\t小红\t退订\nben@example.org\t小明\t已订阅\n"),
        ("cp949", "이메일,이름,상태\nann@example.org,영희,구독취소\nben@example.org,철수,구독 중\n"),
        ("cp1253", "email,κατάσταση\nann@example.org,απεγγραφή\nben@example.org,active\n"),
        ("mac_roman", "email,prénom,statut\nann@example.org,Zoë,désabonné\nben@example.org,René,abonné\n"),
        ("cp1252", "email,prénom,statut\nann@example.org,Zoë,désabonné\nben@example.org,René,abonné\n"),
    ],
)
def test_who_left_is_known_in_an_encoding_of_before(tmp_path: Path, encoding: str, text: str) -> None:
    plan = _plan(tmp_path, text.encode(encoding))
    assert [each.address for each in plan.members] == ["ben@example.org"], plan
    assert [(each.address, each.status) for each in plan.leavings] == [("ann@example.org", ListStatus.UNSUBSCRIBED)]
    last = text.splitlines()[-1]
    assert all(each.name in last for each in plan.members)


def test_a_broken_sign_costs_its_own_row_and_not_the_words_of_all(tmp_path: Path) -> None:
    text = "email,имя,статус\nann@example.org,Аня,отписана\nben@example.org,Боря?,подписан\n?@example.org,?,подписан\n"
    plan = _plan(tmp_path, text.encode().replace(b"?", b"\xd0"))
    assert [(each.address, each.status) for each in plan.leavings] == [("ann@example.org", ListStatus.UNSUBSCRIBED)]
    assert [each.address for each in plan.members] == ["ben@example.org"]
    assert len(plan.bad) == 1


def test_what_has_no_known_word_is_read_as_windows_has_it(tmp_path: Path) -> None:
    (ann,) = _plan(tmp_path, "email,name\nann@example.org,Zoë\n".encode("cp1252")).members
    assert ann.name == "Zoë"


@pytest.mark.parametrize("name", ["¡", "Zoë¿", "Ü", "ÿ"])
def test_a_sign_in_front_of_a_delimiter_is_not_half_of_another(tmp_path: Path, name: str) -> None:
    text = f"E-MAIL ADDRESS|FIRST_NAME|SUBSCRIPTION STATUS\nann@example.org|{name}|Unsubscribed\n"
    plan = _plan(tmp_path, text.encode("cp1252"))
    assert [(each.address, each.status) for each in plan.leavings] == [("ann@example.org", ListStatus.UNSUBSCRIBED)]


def test_several_addresses_in_a_row_without_a_header_are_nobody(tmp_path: Path) -> None:
    plan = _plan(tmp_path, "ann@example.org;ben@example.org\ncleo@example.org;\n")
    assert plan.bad == ["line 1: more than one address"]
    assert [each.address for each in plan.members] == ["cleo@example.org"]


def test_an_address_in_a_title_does_not_hide_the_header(tmp_path: Path) -> None:
    text = "Exported by owner@example.org\n\nemail,status\nann@example.org,unsubscribed\nben@example.org,active\n"
    plan = _plan(tmp_path, text)
    assert [each.address for each in plan.leavings] == ["ann@example.org"]
    assert [each.address for each in plan.members] == ["ben@example.org"]
