"""Whom an import takes for a member, whom for somebody who left, and by which words of the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.importing.consent import WORDS, ListStatus, status_of
from cli.people import import_people
from contracts.accounts import Fact, Veto
from contracts.codec import to_json
from contracts.log import Outgoing
from contracts.reading import all_of
from contracts.reasons import Reason
from contracts.topics import ROWS, VETOES, fact_key
from sinks.base import Member, Standing
from sinks.delivery.account_state import AccountStatus
from tests.cli.importing_home import directory_of, home, id_of, segma_import, told, vetoes_of
from transport import open_log
from transport.config import Settings

__all__ = ["home"]


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


@pytest.mark.parametrize(
    "date",
    [
        "٢٠٢٤-٠١-٠٢ ٠٣:٠٤:٠٥",
        "۲۰۲۴/۱/۲ ۳:۰۴:۰۵",
        "२०२४-०१-०२T०३:०४:०५Z",
        "２０２４／０１／０２　０３：０４：０５",
        "2024年1月2日 03:04:05",
        "2024. 1. 2. 3:04:05",
        "١٧٠٤١٦٤٦٤٥",
        "\u200f٢٠٢٤/٠١/٠٢ ٠٣:٠٤:٠٥",
    ],
)
def test_a_date_is_read_in_the_digits_of_any_script(home: Path, date: str) -> None:
    segma_import(home, f"email;status;unsubscribed_at\ngone@example.org;unsubscribed;{date}\n")
    assert vetoes_of(home)[id_of("gone@example.org"), ""].at_ms == 1_704_164_645_000


@pytest.mark.parametrize("date", ["02/01/2024", "٠٢/٠١/٢٠٢٤", "2024/13/40", "2024/01/02/03", "۱۴۰۲/۱۰/۱۲"])
def test_a_date_of_which_no_day_can_be_told_is_a_leaving_of_now(home: Path, date: str) -> None:
    segma_import(home, f"email;unsubscribed_at\ngone@example.org;{date}\n")
    assert vetoes_of(home)[id_of("gone@example.org"), ""].at_ms > 1_760_000_000_000


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
        ("Статус подписчика", "Отписалась", "Активный"),
        ("Stan", "wypisany", "aktywny"),
        ("購読状況", "配信停止", "購読中"),
        ("is_subscribed", "٠", "١"),
        ("is_unsubscribed", "۱", "۰"),
        ("Unsubscribed", "１", "０"),
        ("Unsubscribed", "१", "०"),
        ("Unsub Time", "٢٠٢٤-٠٣-٠٤", "٠٠٠٠-٠٠-٠٠ ٠٠:٠٠:٠٠"),
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
        ("ブロック済み", ListStatus.BLOCKED),
        ("В чёрном списке", ListStatus.BLOCKED),
        ("Отписался", ListStatus.UNSUBSCRIBED),
        ("Відписалася", ListStatus.UNSUBSCRIBED),
        ("Rezygnacja", ListStatus.UNSUBSCRIBED),
        ("Tilaus peruttu", ListStatus.UNSUBSCRIBED),
        ("Đã hủy đăng ký", ListStatus.UNSUBSCRIBED),
        ("إلغاء الاشتراك", ListStatus.UNSUBSCRIBED),
        ("オプトアウト", ListStatus.UNSUBSCRIBED),
        ("Stížnost", ListStatus.COMPLAINED),
        ("苦情", ListStatus.COMPLAINED),
        ("Şikayet", ListStatus.COMPLAINED),
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
