"""Consent in a row of an export: its columns, its words, and which of two answers counts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from cli.importing.tables import column_of, unaccented, words_of
from contracts.numerals import in_ascii


class ListStatus(StrEnum):
    """A person's status in a file. Only :attr:`ACTIVE` makes a member."""

    ACTIVE = "active"
    NOT_MEMBER = "not_member"
    """Known to the platform, in no list: never subscribed, archived, deleted."""
    UNCLEAR = "unclear"
    """A column says something, or should, and it is not known what."""
    PENDING = "pending"
    """Has not confirmed yet."""
    UNDELIVERABLE = "undeliverable"
    """Bounced or cleaned: no leaving."""
    UNSUBSCRIBED = "unsubscribed"
    BLOCKED = "blocked"
    COMPLAINED = "complained"


GRAVITY: Final = tuple(ListStatus)
"""From the lightest to the gravest: where two columns, or two rows of a person, say two things, the graver counts."""
LEFT: Final = frozenset({ListStatus.UNSUBSCRIBED, ListStatus.BLOCKED, ListStatus.COMPLAINED})
"""Those that veto every adding."""


def gravest(statuses: Iterable[ListStatus]) -> ListStatus:
    """The one of several that counts; :attr:`ListStatus.ACTIVE` where nothing is said."""
    return max(statuses, key=GRAVITY.index, default=ListStatus.ACTIVE)


def _set(text: str) -> frozenset[str]:
    return frozenset(words_of(word) for word in text.split(","))


def _words(status: ListStatus, text: str) -> dict[str, ListStatus]:
    return dict.fromkeys(_set(text), status)


WORDS: Final[Mapping[str, ListStatus]] = {
    **_words(
        ListStatus.ACTIVE,
        "active,subscribed,subscriber,enabled,confirmed,opted in,opt in,optin,opted-in,resubscribed,re-subscribed,"
        "single opt-in,double opt-in,explicit,implied,express,sendable,deliverable,valid,ok,regular,not suppressed,"
        "email subscribed,aktiv,aktive,abonniert,angemeldet,eingetragen,bestätigt,actif,active,abonné,abonnée,inscrit,"
        "inscrite,confirmé,activo,activa,suscrito,suscrita,confirmado,attivo,iscritto,iscritta,confermato,ativo,"
        "inscrito,inscrita,assinante,actief,geabonneerd,ingeschreven,aangemeld,bevestigd,prenumererar,påmeldt,tilmeldt,tilaaja,"
        "aktywny,subskrybowany,zapisany,активен,активный,подписан,підписаний,有効,購読中,登録済み,アクティブ,"
        "配信中,配信可,已订阅,订阅,已訂閱,活跃,활성,구독,구독 중,구독중,abone",
    ),
    **_words(
        ListStatus.NOT_MEMBER,
        "never subscribed,not subscribed,non subscribed,nonsubscribed,no subscription,transactional,"
        "non marketing contact,no permissions set,no permission,not set,archived,deleted,removed,inactive,"
        "no opt in,not opted in,no consent,cold,archiviert,gelöscht,entfernt,nicht abonniert,"
        "archivé,supprimé,archivado,eliminado,archiviato,eliminato,"
        "arquivado,gearchiveerd,verwijderd",
    ),
    **_words(
        ListStatus.PENDING,
        "pending,unconfirmed,not confirmed,awaiting confirmation,awaiting,waiting,opt in pending,double opt in pending,"
        "confirmation pending,invited,ausstehend,unbestätigt,nicht bestätigt,en attente,non confirmé,pendiente,"
        "sin confirmar,no confirmado,in attesa,non confermato,pendente,não confirmado,in afwachting,niet bevestigd,"
        "niepotwierdzony,oczekujący,не подтвержден,保留中,未確認,未确认,未確認,대기 중",
    ),
    **_words(ListStatus.ACTIVE, "yes,true,ja,oui,sí,sim"),
    **_words(ListStatus.UNSUBSCRIBED, "no,false,nein,não,nee"),
    **_words(ListStatus.UNCLEAR, "not bounced,not unsubscribed,not blocked,not cleaned,never unsubscribed"),
}
"""What a status column says, word for word."""

LEAVING: Final = (
    r"unsub|un subscribe|abgemeld|abmeld|abbestell|ausgetragen|austrag|отпис|відпис|απεγγραφ|"
    r"berhenti berlangganan|huy đang ky|إلغاء الاشتراك|ملغى الاشتراك|لغو عضویت|オプトアウト|해지|"
    r"kundigung|widerruf|desabon|desinscri|desuscri|"
    r"\bbaja\b(?! california)|disiscri|descadastr|uitgeschreven|afgemeld|opgezegd|odhlas|avprenumerer|avregistr|avmeld|"
    r"leiratkoz|dezabon|odjavl|wypisan|配信停止|退会|退订|退訂|구독 ?취소|수신 ?거부"
)
"""Parts of words that say of a leaving wherever they stand: in a status, and in a column's name."""

STEMS: Final = (
    (
        ListStatus.COMPLAINED,
        "complain|complaint|spam|abuse|junk|beschwer|plainte|queja|denuncia|segnalat|reclam|klacht|klagom|klage|skarg|stiznost|"
        "panasz|plangere|valitus|şikayet|жалоб|пожалов|скарг|شكوى|迷惑|苦情|投诉|投訴|垃圾邮件|垃圾郵件|신고|스팸",
    ),
    (
        ListStatus.BLOCKED,
        "block|blacklist|suppress|banned|do not (e ?)?mail|gesperrt|bloqu|bloccat|liste noire|lista negra|geblokkeerd|"
        "zablokow|zablokovan|sperrliste|blockerad|blocat|letiltva|engellen|estetty|sperret|spærret|заблок|"
        "черный список|черном списке|محظور|חסום|ブロック|黑名单|黑名單|拉黑|屏蔽|차단",
    ),
    (
        ListStatus.UNSUBSCRIBED,
        LEAVING
        + r"|withdr[ae]w|revoke|retirad|revocad|no longer subscribed|opt(ed)? ?out|optout|cancel|\bleft\b|\bquit\b|"
        r"gekundigt|dado de baja|de baja|disattiv|annull|desinscrit|iptal|διαγραφ|скасован|ביטול|הוסר|frameldt|afmeldt|"
        r"peruut|perutt|anulowan|anulad|rezygnac|解除|取消|abonelikten|ayrıldı",
    ),
    (
        ListStatus.UNDELIVERABLE,
        "bounc|clean|undeliver|invalid|quarantin|hold|nicht zustellbar|unzustellbar|ungultig|rebot|rebond|rimbalz|"
        "respingid|devuelt|geweigerd|odbit|отказ|недостав|エラー|不達|退信|반송|disabled",
    ),
)
"""Parts of words by which a status is one of the grave ones, graver first. A part may be found too often: then somebody
is left out, and counted, who could have been taken."""
_STEMS: Final = tuple((status, re.compile(unaccented(words_pattern))) for status, words_pattern in STEMS)


_BOTH_GENDERS: Final = re.compile(
    r"(?<=\w)(?:\((?:e|a|o|as|os|es|in|ne)\)|[/·](?:e|a|o|as|os|es|in|ne)\b)", re.IGNORECASE
)
"""Endings that a word has beside its own: ``Abonné(e)``, ``Suscrito/a``."""


def status_of(cell: str, words: Mapping[str, ListStatus] = WORDS) -> ListStatus:
    """Return the status that a cell names. Several words (``["BOUNCED", "SPAM"]``): the gravest."""
    cell = _BOTH_GENDERS.sub("", cell)
    whole = words_of(cell)
    if whole in words:
        return words[whole]
    if whole in WORDS:
        return WORDS[whole]
    parts = [part for part in re.split(r"[,;|/\[\]\"]", cell) if words_of(part)]
    if len(parts) > 1:
        return gravest(status_of(part, words) for part in parts)
    return next((status for status, stem in _STEMS if stem.search(whole)), ListStatus.UNCLEAR)


NOTHING: Final = _set(",none,null,nil,n/a,na,nan,undefined,false,no,0,nein,non")
"""Cells that hold nothing (as :func:`words_of` puts them)."""
YES: Final = _set(
    "true,yes,y,1,t,x,on,checked,ja,oui,si,sí,sim,tak,да,так,はい,是,예,evet,wahr,vrai,verdadero,vero,verdadeiro,waar,"
    "sant,sann,sand,tosi,prawda,pravda,igaz,adevărat,истина,doğru"
)
NO: Final = NOTHING - {""} | _set(
    "n,f,off,unchecked,não,nee,nie,нет,ні,いいえ,否,아니요,hayır,falsch,faux,falso,onwaar,falskt,usann,falsk,epätosi,fałsz,"
    "nepravda,hamis,fals,ложь,yanlış"
)
"""NOTE: a spreadsheet writes its true and false in the language of whoever has it open."""
TICKS: Final = frozenset("✓✔☑✅🗸🗹●⬤■+*")
"""Signs that stand for a yes where a cell has nothing else. Of a cross it cannot be told: some tick with it."""
DASHES: Final = frozenset("-‐‑‒–—−―./\\[]{}()<>'\"☐□○")
"""Signs of which a cell is made that holds nothing."""


_NO_DATE: Final = re.compile(r"(?:0001|1900|1970) 01 01(?:[ t]00.*)?|1899 12 30.*")
"""The dates that programs write for none (as :func:`words_of` puts them)."""


def _signs_of(cell: str) -> set[str]:
    """The signs of a cell but blanks, and those that show nothing or say how another is drawn."""
    return {sign for sign in cell if not sign.isspace() and unicodedata.category(sign) not in {"Cf", "Cc", "Mn"}}


def is_nothing(cell: str) -> bool:
    """Return whether a cell holds no value: empty, ``NULL``, ``[]``, ``0000-00-00 00:00:00``."""
    said = words_of(cell)
    if not said:
        return _signs_of(cell) <= DASHES
    return said in NOTHING or not said.strip("0 ") or _NO_DATE.fullmatch(said) is not None


def flag_of(cell: str) -> bool | None:
    """Return the value of a cell of yes and no; a date is a yes, and so is a tick. None: not readable."""
    said = words_of(cell)
    signs = set() if said else _signs_of(cell)
    if said in YES or time_of(cell) is not None or (signs and signs <= TICKS):
        return True
    return False if said in NO or is_nothing(cell) else None


_DATE: Final = re.compile(r"[0-9]{1,4}[-./][0-9]{1,2}[-./][0-9]{1,4}\b")
_YEAR_FIRST: Final = re.compile(
    r"^([0-9]{4})(?:([-./]) ?([0-9]{1,2})\2 ?|[年년] ?([0-9]{1,2})[月월] ?)([0-9]{1,2})[日일.]?(?![0-9./-])"
)
"""A date of which it is clear what is the day: ``2024/3/4``, ``2024. 3. 4.``, ``2024年3月4日``."""
_SHORT_HOUR: Final = re.compile(" (?=[0-9]:)")
FIRST_YEAR: Final = 1990
"""Nobody left a list before."""


def time_of(cell: str) -> int | None:
    """An instant in ms since the epoch, in the digits of any script: ISO 8601 (without a zone: UTC; its dashes may be
    slashes, dots or words of East Asia), or seconds or milliseconds since the epoch.

    None where it cannot be told: ``03/04/2024`` is two days.
    """
    text = _SHORT_HOUR.sub(" 0", _YEAR_FIRST.sub(_iso_date, in_ascii(cell).strip()))
    if re.fullmatch(r"[0-9]{10}|[0-9]{13}", text):
        return int(text) * (1_000 if len(text) == 10 else 1)
    try:
        at = datetime.fromisoformat(text.removesuffix(" UTC"))
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return int(at.timestamp() * 1_000) if at.year >= FIRST_YEAR else None


def is_date(cell: str) -> bool:
    """Return whether a cell is a date, also one of which it cannot be told which day it is."""
    return time_of(cell) is not None or _DATE.match(in_ascii(cell).strip()) is not None


def _iso_date(found: re.Match[str]) -> str:
    return f"{found[1]}-{int(found[3] or found[4]):02d}-{int(found[5]):02d}"


class Meaning(StrEnum):
    """The meaning of a column for consent."""

    STATUS = "status"
    """A word."""
    LEAVING = "leaving"
    """Yes: the person is what the column is named for. Nothing: they are not."""
    JOINING = "joining"
    """Yes: the person is subscribed. No: they left. Nothing: unclear."""
    FILLED = "filled"
    """Anything in it: the person is what the column is named for."""
    NEEDED = "needed"
    """No: the person is what the column's lack makes them. Anything else says nothing."""
    TIME = "time"
    """Anything in it: when the person became what the column is named for; a status column that says active outranks
    it, for who came back may keep the time of their leaving."""


def _columns(text: str) -> frozenset[str]:
    return frozenset(column_of(header) for header in text.split(","))


def _means(meaning: Meaning, status: ListStatus, text: str) -> dict[str, tuple[Meaning, ListStatus]]:
    return dict.fromkeys(_columns(text), (meaning, status))


COLUMNS: Final[Mapping[str, tuple[Meaning, ListStatus]]] = {
    **_means(
        Meaning.STATUS,
        ListStatus.ACTIVE,
        "status,state,subscription status,subscriber status,subscription state,subscriber state,email status,"
        "email state,email permission status,permission status,email marketing consent,email marketing status,"
        "email consent,email consent status,marketing status,email subscription status,consent,consent status,"
        "member status,membership status,list status,opt in status,opt-in status,optin status,email opt in status,"
        "email opt-in,delivery status,status email,contact status,newsletter status,marketing consent,"
        "abonnementstatus,abonnement status,abostatus,anmeldestatus,e-mail-status,kontaktstatus,"
        "status der e-mail-adresse,statut,statut d'abonnement,statut abonnement,statut de l'abonnement,état,"
        "statut email,estado,estado de la suscripción,estado de suscripción,estado del suscriptor,stato,"
        "stato iscrizione,stato dell'iscrizione,stato contatto,situação,estado da inscrição,"
        "status da inscrição,abonnementsstatus,"
        "inschrijfstatus,prenumerationsstatus,tila,status subskrypcji,stav,durum,abonelik durumu,статус,"
        "статус подписки,статус подписчика,статус контакта,состояние,состояние подписки,статус підписки,стан,"
        "stan,stan subskrypcji,status subskrybenta,állapot,feliratkozás állapota,stare,stare abonament,κατάσταση,"
        "tilauksen tila,tilanne,status abonnement,stav odběru,trạng thái,الحالة,حالة الاشتراك,סטטוס,"
        "ステータス,状態,登録状況,購読ステータス,購読状況,配信状況,状态,订阅状态,狀態,訂閱狀態,상태,구독 상태",
    ),
    **_means(
        Meaning.LEAVING,
        ListStatus.UNSUBSCRIBED,
        "unsubscribed,is unsubscribed,unsubscribe,unsubscribed from all email,unsubscribed from all emails,"
        "unsubscribed from all,email unsubscribed,opted out,opt out,opt-out,optout,email opt out,email opt-out,"
        "has opted out of email,opted out of all email,do not email,do not mail,do not contact,abgemeldet,"
        "von allen e-mails abgemeldet,ausgetragen,abbestellt,désabonné,désinscrit,désabonné de tous les e-mails,"
        "cancelado,dado de baja,suscripción cancelada,ha cancelado la suscripción a todos los correos,disiscritto,"
        "cancellato,descadastrado,uitgeschreven,afgemeld,avregistrerad,wypisany,отписан,配信停止,退订",
    ),
    **_means(
        Meaning.LEAVING,
        ListStatus.BLOCKED,
        "blacklisted,is blacklisted,email blacklisted,email blacklist,blacklist,blocklisted,is blocklisted,"
        "email blocklisted,email blocklist,blocklist,blocked,banned,suppressed,is suppressed,email suppressed,gesperrt,"
        "auf der blacklist,liste noire,lista negra",
    ),
    **_means(
        Meaning.LEAVING,
        ListStatus.UNDELIVERABLE,
        "bounced,is bounced,has bounced,hard bounced,hard bounce,cleaned,undeliverable,invalid email,nicht zustellbar",
    ),
    **_means(
        Meaning.LEAVING, ListStatus.COMPLAINED, "complained,has complained,spam complaint,marked as spam,reported spam"
    ),
    **_means(
        Meaning.JOINING,
        ListStatus.ACTIVE,
        "subscribed,is subscribed,issubscribed,subscribed to emails,subscribed to email,email subscribed,"
        "accepts marketing,accepts email marketing,opted in,opt in,opt-in,optin,is opted in,email opted in,"
        "newsletter subscribed,subscribed to newsletter,receives email,angemeldet,abonniert,newsletter abonniert,"
        "abonné,inscrit,suscrito,iscritto,inscrito,ingeschreven",
    ),
    **_means(
        Meaning.FILLED,
        ListStatus.UNSUBSCRIBED,
        "unsub reason,unsub reason other,unsub campaign title,unsub campaign id,unsubscribe reason,"
        "reason for unsubscribing,confirmed opt-out source,confirmed opt-out reason,opt-out reason,"
        "unsubscribedchannelids,unsubscribed lists,lists unsubscribed,list unsubscribed,opted out lists",
    ),
    **_means(
        Meaning.FILLED,
        ListStatus.UNDELIVERABLE,
        "clean campaign title,clean campaign id,bounce reason,email hard bounce reason,hard bounce reason,"
        "email hard bounce reason code,email address quarantined reason",
    ),
    **_means(
        Meaning.FILLED,
        ListStatus.BLOCKED,
        "suppressions,email suppressions,suppression,suppression reason,suppression reasons,suppressed reason",
    ),
    **_means(
        Meaning.TIME,
        ListStatus.UNSUBSCRIBED,
        "unsub time,unsubscribed at,unsubscribed on,unsubscribed date,unsubscribe date,unsubscribe time,"
        "date unsubscribed,time unsubscribed,unsubscription date,date of unsubscription,opt out date,opt out time,"
        "optout date,optout time,opted out at,email opt out date,email optout date,confirmed opt-out date,cancelled at,"
        "canceled at,abmeldedatum,abgemeldet am,austragungsdatum,date de désabonnement,date de désinscription,"
        "fecha de baja,fecha de cancelación,data di disiscrizione,data cancellazione,data de descadastro,"
        "uitschrijfdatum",
    ),
    **_means(
        Meaning.TIME,
        ListStatus.UNDELIVERABLE,
        "clean time,cleaned at,bounced at,bounce date,date bounced,bounce time,hard bounced at",
    ),
    **_means(
        Meaning.LEAVING, ListStatus.UNDELIVERABLE, "disabled,is disabled,deaktiviert,désactivé,desactivado,disabilitato"
    ),
    **_means(
        Meaning.LEAVING, ListStatus.NOT_MEMBER, "deleted,is deleted,archived,is archived,removed,gelöscht,supprimé"
    ),
    **_means(
        Meaning.NEEDED, ListStatus.PENDING, "confirmed,is confirmed,email confirmed,bestätigt,confirmé,confirmado"
    ),
    **_means(Meaning.NEEDED, ListStatus.NOT_MEMBER, "active,is active,enabled,is enabled,aktiv,actif,activo,attivo"),
    **_means(Meaning.TIME, ListStatus.COMPLAINED, "complained at,complaint date,spam reported at,date complained"),
    **_means(Meaning.TIME, ListStatus.BLOCKED, "blocklisted at,blacklisted at,blocked at,suppressed at"),
    **_means(Meaning.TIME, ListStatus.NOT_MEMBER, "deleted at,archived at,removed at"),
}
"""What a column of this name tells (as :func:`column_of` puts it)."""

BEGINNINGS: Final = (column_of("unsubscribed from"), column_of("opted out of email"), column_of("opted out of all"))
"""Columns that begin so are yes and no of a leaving: platforms put what was left behind it."""
SURE_WORDS: Final = _set(
    "unsubscribed,unsubscribe,opted out,opted-out,opt out,cleaned,bounced,hard bounced,hard bounce,complained,"
    "spam complaint,blocklisted,blacklisted,suppressed,abgemeldet,désabonné,désinscrit,dado de baja,disiscritto,"
    "uitgeschreven,отписан,退订"
)
"""A column of any name that holds one of these as a whole cell tells of that person's leaving."""


FLAGS: Final = _columns(
    "newsletter,newsletters,newsletter opt in,marketing,marketing opt in,email marketing,marketing emails,"
    "marketing optin,marketing permission,email permission,permission,mailing,mailings,gdpr,gdpr consent,consent given,"
    "subscribe,receive newsletter,receives newsletter,wants newsletter,werbung,einwilligung,newsletter einwilligung,"
    "boletín,infolettre,nieuwsbrief,nyhetsbrev,nyhedsbrev,рассылка"
) | {
    column
    for column, (meaning, status) in COLUMNS.items()
    if Meaning.NEEDED is meaning or status is ListStatus.NOT_MEMBER
}
"""Columns of any content that are yes and no of being subscribed where nothing but yes and no stands in them."""
AMBIGUOUS: Final = _columns("state,estado,stato,stav,état,stan,стан,stare,состояние,tilanne,állapot")
"""Names of status columns under which other things stand as well (a country's states): they are a status where one of
their cells is a known word of it, or half of them can be read as one."""


def meaning_of(header: str) -> tuple[Meaning, ListStatus] | None:
    """Return the meaning of a column for consent, by its name; None: it has none."""
    column = column_of(header)
    if column.startswith(BEGINNINGS):
        return Meaning.LEAVING, ListStatus.UNSUBSCRIBED
    return COLUMNS.get(column, (Meaning.JOINING, ListStatus.ACTIVE) if column in FLAGS else None)
