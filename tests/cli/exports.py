"""What email platforms export, as their files' headers stand in public documentation and code; the people are made up.

Each export holds Ada, who is active, and, where the platform tells, people who are not.
"""

from __future__ import annotations

from typing import NamedTuple


class Export(NamedTuple):
    """A file, and what is right of it: who is a member under which name, who is left out, and how."""

    platform: str
    file_name: str
    data: bytes
    members: dict[str, str]
    left_out: dict[str, int]


MAILCHIMP = (
    '"Email Address","First Name","Last Name",Address,"Phone Number",Birthday,MEMBER_RATING,OPTIN_TIME,OPTIN_IP,'
    "CONFIRM_TIME,CONFIRM_IP,LATITUDE,LONGITUDE,GMTOFF,DSTOFF,TIMEZONE,CC,REGION,LAST_CHANGED,LEID,EUID,NOTES,TAGS"
)
MAILCHIMP_TIMES = '2,"",,"2024-01-02 03:04:05",1.2.3.4,52.5,13.4,1,2,Europe/Berlin,DE,BE,"2024-05-06 07:08:09",11,ab,,'
UNSUBSCRIBED = MAILCHIMP.replace(
    "LEID", "UNSUB_TIME,UNSUB_CAMPAIGN_TITLE,UNSUB_CAMPAIGN_ID,UNSUB_REASON,UNSUB_REASON_OTHER,LEID"
)
CLEANED = MAILCHIMP.replace("LEID", "CLEAN_TIME,CLEAN_CAMPAIGN_TITLE,CLEAN_CAMPAIGN_ID,LEID")


def _utf8(text: str) -> bytes:
    return text.encode()


EXPORTS = (
    Export(
        "mailchimp",
        "subscribed_email_audience_export_1.csv",
        _utf8(f'{MAILCHIMP}\r\nada@example.org,Ada,Ohm,"1 Main St, Bern",,,{MAILCHIMP_TIMES}"""vip"""\r\n'),
        {"ada@example.org": "Ada Ohm"},
        {},
    ),
    Export(
        "mailchimp",
        "unsubscribed_email_audience_export_1.csv",
        _utf8(
            f"{UNSUBSCRIBED}\n"
            "ben@example.org,Ben,,,,,2,,,,,,,,,,,,2024-05-06 07:08:09,2024-05-06 07:08:09,Spring,1,NORMAL,,12,cd,,\n"
            "bob@example.org,Bob,,,,,2,,,,,,,,,,,,2024-05-06 07:08:09,,,,,,12,cd,,\n"
        ),
        {},
        {"unsubscribed": 2},
    ),
    Export(
        "mailchimp",
        "cleaned_email_audience_export_1.csv",
        _utf8(f"{CLEANED}\ncleo@example.org,Cleo,,,,,2,,,,,,,,,,,,,2024-05-06 07:08:09,Spring,1,13,ef,,\n"),
        {},
        {"undeliverable": 1},
    ),
    Export(
        "klaviyo",
        "Newsletter.csv",
        _utf8(
            "Email,Klaviyo ID,First Name,Last Name,Phone Number,Address,City,State / Region,Email Marketing Consent,"
            "Email Marketing Consent Timestamp,Email Suppressions\n"
            "ada@example.org,01A,Ada,Ohm,,1 Main St,Bern,BE,SUBSCRIBED,2024-01-02 03:04:05,[]\n"
            "ben@example.org,01B,Ben,,,,,,UNSUBSCRIBED,2024-01-02 03:04:05,\n"
            "cleo@example.org,01C,Cleo,,,,,,NEVER_SUBSCRIBED,,\n"
            'dora@example.org,01D,Dora,,,,,,SUBSCRIBED,,"[""HARD_BOUNCE""]"\n'
            'eve@example.org,01E,Eve,,,,,,SUBSCRIBED,,"[""SPAM_COMPLAINT""]"\n'
        ),
        {"ada@example.org": "Ada Ohm"},
        {"unsubscribed": 1, "not_member": 1, "undeliverable": 1, "complained": 1},
    ),
    Export(
        "hubspot",
        "hubspot-crm-exports-all-contacts.csv",
        _utf8(
            '"Record ID","First Name","Last Name","Email","Lead Status","State/Region","Unsubscribed from all email",'
            '"Email hard bounce reason"\n'
            '"1","Ada","Ohm","ada@example.org","New","Bern","",""\n'
            '"2","Ben","","ben@example.org","Open","","Yes",""\n'
            '"3","Cleo","","cleo@example.org","Open","","No","Mailbox full"\n'
        ),
        {"ada@example.org": "Ada Ohm"},
        {"unsubscribed": 1, "undeliverable": 1},
    ),
    Export(
        "hubspot",
        "hubspot-deutsch.csv",
        "Datensatz-ID,Vorname,Nachname,E-Mail,Von allen E-Mails abgemeldet\n"
        "1,Ada,Öhm,ada@example.org,\n2,Ben,,ben@example.org,true\n".encode("utf-8-sig"),
        {"ada@example.org": "Ada Öhm"},
        {"unsubscribed": 1},
    ),
    Export(
        "activecampaign",
        "contacts.csv",
        _utf8(
            "Contact ID,Email,First Name,Last Name,Phone,IP,Tags,Status\n"
            "1,ada@example.org,Ada,Ohm,,,,Active\n2,ben@example.org,Ben,,,,,Unsubscribed\n"
            "3,cleo@example.org,Cleo,,,,,Bounced\n4,dora@example.org,Dora,,,,,Unconfirmed\n"
            "5,eve@example.org,Eve,,,,,2\n6,finn@example.org,Finn,,,,,1\n"
        ),
        {"ada@example.org": "Ada Ohm", "finn@example.org": "Finn"},
        {"unsubscribed": 2, "undeliverable": 1, "pending": 1},
    ),
    Export(
        "brevo",
        "brevo.csv",
        "CONTACT ID;EMAIL;NACHNAME;VORNAME;SMS;ADDED_TIME;MODIFIED_TIME;EMAIL_BLACKLISTED\r\n"
        "1;ada@example.org;Öhm;Ada;;01-02-2024;01-02-2024;false\r\n"
        "2;ben@example.org;;Ben;;01-02-2024;01-02-2024;true\r\n".encode("cp1252"),
        {"ada@example.org": "Ada Öhm"},
        {"blocked": 1},
    ),
    Export(
        "mailerlite",
        "subscribers.csv",
        _utf8(
            "Subscriber,Status,Sent,Opens,Clicks,Subscribed,Location,Name,Last name,State\n"
            "ada@example.org,Active,1,1,0,2024-01-02 03:04:05,DE,Ada,Ohm,Bern\n"
            "ben@example.org,Unsubscribed,1,0,0,2024-01-02 03:04:05,DE,Ben,,Bern\n"
            "cleo@example.org,Junk,1,0,0,2024-01-02 03:04:05,DE,Cleo,,\n"
        ),
        {"ada@example.org": "Ada Ohm"},
        {"unsubscribed": 1, "complained": 1},
    ),
    Export(
        "campaign monitor",
        "list.csv",
        "Email Address\tName\tDate\tState\nada@example.org\tAda Ohm\t2024-01-02 03:04:05\tActive\n"
        "ben@example.org\tBen\t2024-01-02 03:04:05\tUnsubscribed\n"
        "cleo@example.org\tCleo\t2024-01-02 03:04:05\tBounced\n"
        "dora@example.org\tDora\t2024-01-02 03:04:05\tUnconfirmed\n".encode("utf-16"),
        {"ada@example.org": "Ada Ohm"},
        {"unsubscribed": 1, "undeliverable": 1, "pending": 1},
    ),
    Export(
        "constant contact",
        "contact_export.csv",
        _utf8(
            "Email address - other,Email address - home,First name,Last name,Email status,Email permission status,"
            "Email update source,Confirmed Opt-Out Date,Confirmed Opt-Out Source,Confirmed Opt-Out Reason,"
            "State/Province - Home,Email Lists\n"
            "ada@example.org,,Ada,Ohm,Active,Implied,Import,,,,BE,General\n"
            ",finn@example.org,Finn,,Active,Express,Import,,,,,\n"
            "ben@example.org,,Ben,,Unsubscribed,Express,Import,2024-01-02,Contact,,,\n"
            "cleo@example.org,,Cleo,,No Permissions Set,,,,,,,\n"
            "dora@example.org,,Dora,,Awaiting Confirmation,,,,,,,\n"
            "eve@example.org,,Eve,,,,,,,,,\n"
        ),
        {"ada@example.org": "Ada Ohm", "finn@example.org": "Finn"},
        {"unsubscribed": 1, "not_member": 1, "pending": 1, "unclear": 1},
    ),
    Export(
        "kit",
        "kit.csv",
        _utf8(
            "id,first_name,email_address,state,created_at,tags\n1,Ada,ada@example.org,active,2024-01-02,vip\n"
            "2,Ben,ben@example.org,cancelled,2024-01-02,\n3,Cleo,cleo@example.org,bounced,2024-01-02,\n"
            "4,Dora,dora@example.org,complained,2024-01-02,\n5,Eve,eve@example.org,inactive,2024-01-02,\n"
        ),
        {"ada@example.org": "Ada"},
        {"unsubscribed": 1, "undeliverable": 1, "complained": 1, "not_member": 1},
    ),
    Export(
        "customer.io",
        "people.csv",
        _utf8(
            "id,email,cio_id,created_at,first_name,unsubscribed\n1,ada@example.org,a1,1700000000,Ada,\n"
            "2,ben@example.org,a2,1700000000,Ben,true\n3,cleo@example.org,a3,1700000000,Cleo,false\n"
        ),
        {"ada@example.org": "Ada", "cleo@example.org": "Cleo"},
        {"unsubscribed": 1},
    ),
    Export(
        "iterable",
        "list.csv",
        _utf8(
            "email,userId,signupDate,emailListIds,unsubscribedChannelIds,unsubscribedMessageTypeIds,firstName\n"
            'ada@example.org,1,2024-01-02 03:04:05 +00:00,"[7,8]",[],[9],Ada\n'
            "ben@example.org,2,2024-01-02 03:04:05 +00:00,[7],[71],[],Ben\n"
            'cleo@example.org,3,2024-01-02 03:04:05 +00:00,[7],"[71,73]",[],Cleo\n'
            "dora@example.org,4,2024-01-02 03:04:05 +00:00,[7],,,Dora\n"
        ),
        {"ada@example.org": "Ada", "dora@example.org": "Dora"},
        {"unsubscribed": 2},
    ),
    Export(
        "dotdigital",
        "contacts.csv",
        _utf8(
            "Email,OptInType,EmailType,Status,FIRSTNAME\nada@example.org,Unknown,Html,Subscribed,Ada\n"
            "ben@example.org,Single,Html,Unsubscribed,Ben\ncleo@example.org,Double,Html,HardBounced,Cleo\n"
            "dora@example.org,Unknown,Html,IspComplained,Dora\neve@example.org,Unknown,Html,Suppressed,Eve\n"
            "finn@example.org,Unknown,Html,SoftBounced,Finn\ngil@example.org,Unknown,Html,PendingOptIn,Gil\n"
            "hal@example.org,Unknown,Html,MailBlocked,Hal\nida@example.org,Unknown,Html,NoSubscription,Ida\n"
        ),
        {"ada@example.org": "Ada", "finn@example.org": "Finn"},
        {"unsubscribed": 1, "undeliverable": 1, "complained": 1, "blocked": 2, "pending": 1, "not_member": 1},
    ),
    Export(
        "sendgrid",
        "contacts.csv",
        _utf8(
            "EMAIL,FIRST_NAME,LAST_NAME,ADDRESS_LINE_1,CITY,STATE_PROVINCE_REGION,CREATED_AT,UPDATED_AT,CONTACT_ID\n"
            "ada@example.org,Ada,Ohm,1 Main St,Bern,BE,2024-01-02T03:04:05Z,2024-01-02T03:04:05Z,x\n"
        ),
        {"ada@example.org": "Ada Ohm"},
        {},
    ),
    Export(
        "sendgrid bounces",
        "x.csv",
        _utf8('status,reason,email,created\n5.1.1,"550 no, such",ben@example.org,1700000000\n'),
        {},
        {"undeliverable": 1},
    ),
    Export(
        "sendgrid spam reports",
        "y.csv",
        _utf8("ip,email,created\n1.2.3.4,ben@example.org,1700000000\n"),
        {},
        {"complained": 1},
    ),
    Export(
        "by its columns",
        "suppression_unsubscribes.csv",
        _utf8("email,created\nben@example.org,1700000000\n"),
        {},
        {"unsubscribed": 1},
    ),
    Export(
        "listmonk",
        "subscribers.csv",
        _utf8(
            "uuid,email,name,attributes,status,created_at,updated_at\n"
            'u1,ada@example.org,Ada Ohm,"{""city"": ""Bern""}",enabled,2024-01-02T03:04:05Z,2024-01-02T03:04:05Z\n'
            "u2,ben@example.org,Ben,{},blocklisted,2024-01-02T03:04:05Z,2024-01-02T03:04:05Z\n"
            "u3,cleo@example.org,Cleo,{},disabled,2024-01-02T03:04:05Z,2024-01-02T03:04:05Z\n"
        ),
        {"ada@example.org": "Ada Ohm"},
        {"blocked": 1, "undeliverable": 1},
    ),
    Export(
        "ghost",
        "members.csv",
        _utf8(
            "id,email,name,note,subscribed_to_emails,complimentary_plan,stripe_customer_id,created_at,deleted_at,labels,"
            "tiers\r\n1,ada@example.org,Ada Ohm,,true,false,,2024-01-02T03:04:05.000Z,,,\r\n"
            "2,ben@example.org,Ben,,false,false,,2024-01-02T03:04:05.000Z,,,\r\n"
        ),
        {"ada@example.org": "Ada Ohm"},
        {"unsubscribed": 1},
    ),
    Export(
        "mautic",
        "contacts_export_2026_11_29_10_00_00.csv",
        _utf8(
            "id,title,firstname,lastname,company,position,email,mobile,points,city,state,zipcode,last_active,"
            "attribution,attribution_date\n"
            "47,,Ada,Ohm,,,ada@example.org,,0,Reno,Active,,2026-11-01 10:00:00,,\n48,,Ben,,,,ben@example.org,,3,,,,,,\n"
        ),
        {"ada@example.org": "Ada Ohm", "ben@example.org": "Ben"},
        {},
    ),
    Export(
        "mailman",
        "members.txt",
        _utf8("ada@example.org\n\nfinn@example.org\n"),
        {"ada@example.org": "", "finn@example.org": ""},
        {},
    ),
    Export(
        "mailman",
        "full.txt",
        _utf8('Ada Ohm <ada@example.org>\n"Ohm, Finn" <finn@example.org>\nOhm, Gus <gus@example.org>\n'),
        {"ada@example.org": "Ada Ohm", "finn@example.org": "Ohm, Finn", "gus@example.org": "Ohm, Gus"},
        {},
    ),
    Export(
        "mailman",
        "sympa.txt",
        _utf8("ada@example.org\tAda Ohm\nfinn@example.org\t\n"),
        {"ada@example.org": "", "finn@example.org": ""},
        {},
    ),
)
