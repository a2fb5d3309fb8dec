"""Takes each guard out in turn and shows that its test fails: ``python -m tests.sinks.guards [name …]``.

A guard is a line of a sink that keeps a trap shut. For each the source is copied, the line is changed, and the trap's
test runs against the copy: it must fail there, as it must pass on the source. Exit status 1 where a test passed without
its guard. ``test_guards.py`` sees to it that none of these texts goes stale.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cli.compile import ROOMS
from tests.sinks.simulator.imitation import Guard, guards

ROOT = Path(__file__).resolve().parents[2]


GUARDS: tuple[Guard, ...] = (
    Guard("mailchimp_403", "platforms/mailchimp.py", "if reply.status == 403 and not", "if False and not"),
    Guard("mailchimp_bringing", "platforms/mailchimp.py", '"update_existing": False', '"update_existing": True'),
    Guard("mailchimp_compliance", "platforms/mailchimp.py", '("compliance", Reason.COMPLIANCE),', ""),
    Guard(
        "mailchimp_has_at_most",
        "platforms/mailchimp.py",
        "min(options.connections, CONNECTIONS)",
        "options.connections",
    ),
    Guard("mailchimp_a_200", "platforms/mailchimp.py", 'if error is None or verb == "members_to_remove":', "if True:"),
    Guard(
        "mailchimp_who_was_archived",
        "platforms/mailchimp.py",
        '"archived": Standing.LEFT',
        '"archived": Standing.ACTIVE',
    ),
    Guard("klaviyo_a_retired", "platforms/klaviyo.py", "if reply.status in {410, 415}:", "if False:"),
    Guard("klaviyo_a_duplicate", "platforms/klaviyo.py", "if reply.status == 409:", "if False:"),
    Guard(
        "klaviyo_the_link",
        "platforms/klaviyo.py",
        'parse_qs(urlsplit(link).query).get("page[cursor]", [""])[0]',
        "link",
    ),
    Guard(
        "klaviyo_a_suppression",
        "platforms/klaviyo.py",
        "        if name in reasons:",
        "        if False:",
    ),
    Guard("klaviyo_adding", "platforms/klaviyo.py", 'if consent == "UNSUBSCRIBED":', "if False:"),
    Guard(
        "activecampaign_a_login",
        "platforms/activecampaign.py",
        'if "html" in reply.headers.get("content-type", "") or',
        "if 0 and",
    ),
    Guard(
        "activecampaign_a_400",
        "platforms/activecampaign.py",
        "if reply.status == 400 and b",
        "if reply.status == 999 and b",
    ),
    Guard(
        "activecampaign_lists_are",
        "platforms/activecampaign.py",
        '["tags", "lists"] = "tags"',
        '["tags", "lists"] = "lists"',
    ),
    Guard(
        "activecampaign_status_1",
        "toolkit/consent.py",
        "for name in sorted(seen.left)",
        "for name in set[str]()",
    ),
    Guard(
        "activecampaign_whom",
        "platforms/activecampaign.py",
        "if name not in change.taken_out:",
        "if True:",
    ),
    Guard(
        "activecampaign_a_tag",
        "platforms/activecampaign.py",
        'self._untag(one.seen.notes.get(list_name, ""))',
        "self._untag(number)",
    ),
    Guard("hubspot_a_200", "platforms/hubspot.py", 'one.person in missing and verb == "add"', "False"),
    Guard("hubspot_a_lock", "platforms/hubspot.py", "if reply.status in {423, 477}:", "if False:"),
    Guard("hubspot_an_invalid", "platforms/hubspot.py", "if len(addresses) == 1:", "if True:"),
    Guard("hubspot_who_opted", "platforms/hubspot.py", 'return Standing.LEFT if said == "true" else', "return"),
    Guard(
        "listmonk_taking",
        "platforms/listmonk.py",
        'self._change("remove", list_name',
        'self._change("unsubscribe", list_name',
    ),
    Guard("listmonk_add", "platforms/listmonk.py", '"unsubscribed": Standing.LEFT', '"unsubscribed": Standing.PENDING'),
    Guard("listmonk_who_is", "platforms/listmonk.py", '"blocklisted": Standing.LEFT', '"blocklisted": Standing.ACTIVE'),
    Guard(
        "listmonk_writing",
        "platforms/listmonk.py",
        '{**table(one.seen.notes, "attribs", null=True), **dict(one.change.fields)}',
        "dict(one.change.fields)",
    ),
    Guard(
        "listmonk_an_address",
        "platforms/listmonk.py",
        "(lambda sign: f",
        "(lambda sign: sign[0] or f",
    ),
    Guard("mailman_already", "platforms/mailman.py", "(reply.status == 409 and ALREADY in said)", "False"),
    Guard(
        "mailman_sends",
        "platforms/mailman.py",
        '"send_welcome_message": "false",\n            **',
        '"send_welcome_message": "true",\n            **',
    ),
    Guard("mailman_who", "toolkit/consent.py", "name not in seen.pending and exists(name)", "False"),
    Guard("brevo_who_is_blocklisted", "platforms/brevo.py", "left = any(table(", "left = not any(table("),
    Guard(
        "brevo_who_left_one",
        "platforms/brevo.py",
        '_numbers(contact, "listUnsubscribed", absent=True)',
        "set[str]()",
    ),
    Guard("brevo_who_leaves_while", "platforms/brevo.py", "overwrites = True", "overwrites = False"),
    Guard("brevo_a_400", "platforms/brevo.py", 'if reply.status == 400 and b"does', 'if False and b"does'),
    Guard("brevo_a_201", "platforms/brevo.py", "None if one.person in done else again", "None"),
    Guard("brevo_lists_are_read", "platforms/brevo.py", "if name in found or whole_number", "if True or whole_number"),
    Guard("brevo_a_name", "platforms/brevo.py", "if change.name and named", "if change.name"),
    Guard("brevo_the_tokens", "platforms/brevo.py", "self._attributes.made(name)", "str(name)"),
    Guard("brevo_a_429", "platforms/brevo.py", "if reply.status == 429:", "if False:"),
    Guard("brevo_an_address", "platforms/brevo.py", "if reply.status == 401 and", "if False and"),
    Guard("brevo_who_was_made", "platforms/brevo.py", '"updateEnabled": False}\n', '"updateEnabled": True}\n'),
    Guard("brevo_a_contact", "platforms/brevo.py", 'if not words(each, "email"):', "if False:"),
    Guard("brevo_keeps", "platforms/brevo.py", '"all": [(10, 1_000)', '"all": [(12, 1_000)'),
    Guard(
        "mailerlite_a_bundle",
        "platforms/mailerlite.py",
        "    if reply.ok:\n        return None\n    fault = usual",
        "    if True:\n        return None\n    fault = usual",
    ),
    Guard(
        "mailerlite_no_call", "platforms/mailerlite.py", '"fields": fields}', '"fields": fields, "status": "active"}'
    ),
    Guard("mailerlite_whom_the_account", "platforms/mailerlite.py", "is Standing.PENDING:", "is None:"),
    Guard("mailerlite_who_was_made", "platforms/mailerlite.py", "if reply.status != 201:", "if False:"),
    Guard(
        "mailerlite_a_field",
        "platforms/mailerlite.py",
        "if all(fields.get(name) == value for",
        "if True or all(fields.get(name) == value for",
    ),
    Guard("mailerlite_who_marked", "platforms/mailerlite.py", '"junk": Standing.LEFT', '"junk": Standing.ACTIVE'),
    Guard("mailerlite_members", "platforms/mailerlite.py", '"filter[status]": status, ', ""),
    Guard("mailerlite_groups", "platforms/mailerlite.py", "if at < last else", "if False else"),
    Guard("mailerlite_fewer", "platforms/mailerlite.py", "if len(answers) != len(calls):", "if False:"),
    Guard(
        "mailerlite_a_429",
        "platforms/mailerlite.py",
        "    trouble = usual(reply)\n    if trouble is not None:",
        "    trouble = usual(reply)\n    if trouble is None:",
    ),
    Guard(
        "kit_who_is_not_active",
        "platforms/kit.py",
        '"email_address": address, "status": "all"}',
        '"email_address": address}',
    ),
    Guard("kit_who_was_made", "platforms/kit.py", "if reply.status == 201:", "if reply.ok:"),
    Guard(
        "kit_no_call",
        "platforms/kit.py",
        '"first_name": change.name or None}',
        '"first_name": None, "state": "active"}',
    ),
    Guard("kit_a_429", "platforms/kit.py", "wait_s=trouble.wait_s or WAIT_S", "wait_s=trouble.wait_s"),
    Guard("kit_a_full", "platforms/kit.py", "if reply.status == 413:", "if False:"),
    Guard(
        "kit_a_404",
        "platforms/kit.py",
        'fate=Fate.PASSING) if reply.is_missing("errors") else fault',
        "fate=Fate.PASSING) if False else fault",
    ),
    Guard(
        "kit_what_was",
        "platforms/kit.py",
        "if all(fields.get(name) == value for",
        "if True or all(fields.get(name) == value for",
    ),
    Guard("kit_what_was", "platforms/kit.py", "if reply.status == 202:", "if False:"),
    Guard("kit_tags", "platforms/kit.py", 'text(pagination, "end_cursor") if further else ""', '""'),
    Guard("mautic_who_is_not", "platforms/mautic.py", "    if UNSUBSCRIBED in told:", "    if False:"),
    Guard(
        "mautic_a_success",
        "platforms/mautic.py",
        'None if details.get(one.person, {}).get("success") else again',
        "None",
    ),
    Guard(
        "mautic_a_segment_of",
        "platforms/mautic.py",
        "    if reply.status == 403:\n            raise",
        "    if False:\n            raise",
    ),
    Guard("mautic_a_pattern", "platforms/mautic.py", "if not SEARCHED.fullmatch(address):", "if False:"),
    Guard("mautic_who_was_made", "platforms/mautic.py", "if reply.status == 201:", "if reply.ok:"),
    Guard(
        "mautic_a_field",
        "platforms/mautic.py",
        "if all(fields.get(name) == value for",
        "if True or all(fields.get(name) == value for",
    ),
    Guard("mautic_another_channel", "platforms/mautic.py", 'if text(each, "channel") == "email"', "if True"),
    Guard("sympa_whom_a_data", "platforms/sympa.py", 'if line.partition(" ")[0] not in ORIGIN]', "if True]"),
    Guard("sympa_a_move_keeps", "platforms/sympa.py", "kept.get(one.person) or _paragraph(one)", "_paragraph(one)"),
    Guard("sympa_whom_segma_took", "platforms/sympa.py", " - {*change.taken_out}", ""),
    Guard(
        "sympa_whom_an_owner",
        "platforms/sympa.py",
        'if operation == "signoff"} | excluded',
        'if operation == "signoff"}',
    ),
    Guard(
        "sympa_who_unsubscribed", "platforms/sympa.py", 'if operation == "signoff"} | excluded', "if False} | excluded"
    ),
    Guard("sympa_who_unsubscribed", "platforms/sympa.py", "BY date_stat, rowid", "BY date_stat DESC, rowid DESC"),
    Guard("sympa_a_list_that_mails", "platforms/sympa.py", "paused=bool(source) and not", "paused=False and not"),
    Guard("sympa_a_list_that_segma_makes_has", "platforms/sympa.py", "return config + DIGESTED", "return config"),
    Guard("sympa_restored", "platforms/sympa.py", "None if one.person in there else again", "None"),
    Guard("sympa_a_line", "platforms/sympa.py", 'if address.startswith("#") or any', "if False and any"),
    Guard("sympa_one_line", "platforms/sympa.py", "if ran.code not in {0, 1}:", "if ran.code != 0:"),
    Guard(
        "sympa_a_closed",
        "platforms/sympa.py",
        'self._setting(list_name, "status") == "open"',
        'self._setting(list_name, "status") != ""',
    ),
    Guard("sympa_a_stranger", "platforms/sympa.py", "refusal=Reason.MODERATED if guarded else None", "refusal=None"),
    Guard(
        "sympa_a_list_that_segma_makes_is",
        "platforms/sympa.py",
        "if self._options.template == NEWSLETTER:",
        "if False:",
    ),
    Guard("sympa_a_wrong", "platforms/sympa.py", "if ran.code == NOT_SYMPAS_USER:", "if False:"),
    Guard("redirect", "toolkit/http.py", "allow_redirects=False", "allow_redirects=True"),
    Guard("password_file", "toolkit/http.py", "self._session.trust_env = False", "self._session.trust_env = True"),
    Guard("429_waits", "toolkit/http.py", 'Fate.AWAY, "429", wait_s=waits_s(reply)', 'Fate.AWAY, "429"'),
    Guard("in_no_list", "toolkit/list_sink.py", "[work for work in works if work.trouble is None]", "list(works)"),
    *guards(),
    Guard("seen_left", "toolkit/consent.py", "if seen.standing is Standing.LEFT:", "if False:")._replace(
        test="hubspot_who_opted"
    ),
)


def shown(guard: Guard) -> tuple[bool, str]:
    """Whether the trap's test fails without the guard, and how."""
    with tempfile.TemporaryDirectory(prefix="segma-guard-") as directory:
        source = Path(directory)
        for room in ROOMS:
            shutil.copytree(ROOT / room, source / room, ignore=shutil.ignore_patterns("__pycache__"))
        path = source / "sinks" / guard.file
        text = path.read_text("utf-8")
        if guard.there not in text:
            return False, f"{guard.file} has no such guard any more"
        path.write_text(text.replace(guard.there, guard.without), "utf-8")
        traps = [str(each) for each in sorted(ROOT.glob("tests/sinks/test_traps*.py"))]
        command = [sys.executable, "-m", "pytest", *traps, "-q", "-x", "-p", "no:cacheprovider"]
        command += ["-k", guard.test, "-o", f"pythonpath={source} {ROOT}", "--no-header", "--tb=line"]
        environment = {**os.environ, "PYTHONPATH": f"{source}{os.pathsep}{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    return done.returncode == 1 and bool(failed), (failed or done.stdout.splitlines()[-1:] or ["nothing said"])[0]


def main(names: Sequence[str]) -> int:
    """Show all guards, or those whose test or file is named."""
    chosen = [each for each in GUARDS if not names or any(name in f"{each.test} {each.file}" for name in names)]
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(shown, chosen))
    for guard, (held, said) in zip(chosen, results, strict=True):
        sys.stdout.write(
            f"{'fails without it' if held else 'PASSES WITHOUT IT'}  {guard.file:28} {guard.there[:60]!r}\n"
        )
        if not held:
            sys.stdout.write(f"    {said}\n")
    count = sum(each for each, _ in results)
    sys.stdout.write(f"{count} of {len(chosen)} guards are held by their tests\n")
    return 0 if count == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
