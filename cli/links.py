"""``segma link`` and ``segma tokens``: the links of the people in the directory, one person's or everybody's token."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from urllib.parse import quote, urlencode

import click

from cli.home import open_home, workspace_of
from cli.output import Exit, err, fail, out, print_json
from cli.up import home_option, json_option
from contracts.plurals import counted
from contracts.tokens import Claims, subscriber_id
from contracts.urls import hosts_of, landing_url, plain_url
from sinks.delivery.directory import Directory
from transport.config import load_keyring, read_secret


@click.command("link")
@click.argument("workspace")
@click.argument("person")
@click.option("--url", required=True, help="Where the link leads.")
@click.option("--campaign", default="", help="What utm_campaign says.")
@click.option("--site", help="The site whose parameters are used [default: the workspace's first].")
@click.option("--redirect", "collector", metavar="COLLECTOR", help="Lead through this collector's redirect.")
@click.option(
    "--fragment/--query",
    default=True,
    show_default=True,
    help="Where the token stands: behind #, where no server's log sees it, or in the query, where each does.",
)
@home_option
@json_option
def link_command(  # noqa: PLR0917
    workspace: str,
    person: str,
    url: str,
    campaign: str,
    site: str | None,
    collector: str | None,
    fragment: bool,
    home: Path,
    as_json: bool,
) -> None:
    """Print the link of PERSON (an address, or a subscriber id) of WORKSPACE.

    The page's address stays as it is given.
    """
    page = plain_url(url)
    if page is None:
        fail("--url: write an http(s) address", Exit.USAGE)
    config, installation, log = open_home(home)
    found = workspace_of(installation, workspace, config)
    directory = Directory(log)
    secret = read_secret(found.secret, beside=config, field="secret")
    subscriber = directory.whose(workspace, secret)(subscriber_id(secret, person) if "@" in person else person)
    entry = directory.find(workspace, subscriber)
    log.close()
    if entry is None:
        fail("this person is not in the directory: import their list first", Exit.PROBLEMS)
    if site is not None and site not in found.sites:
        fail(f"workspace {workspace} has no site {site}", Exit.USAGE)
    settings = found.sites[site] if site else next(iter(found.sites.values()), None)
    if collector and not any(hosts_of(page) & set(each.redirect_hosts) for each in found.sites.values()):
        err.print("The redirect will not lead there: the address's host is among no site's `redirect_hosts`.")
    names = (settings.token_param, settings.campaign_param) if settings else ("sgm", "utm_campaign")
    token = load_keyring(installation, beside=config).seal(Claims(workspace, subscriber, entry.imported_at_s))
    link = link_of(page, token, campaign, names=names, collector=collector, fragment=fragment)
    if as_json:
        print_json({"workspace": workspace, "subscriber": subscriber, "token": token, "link": link})
    else:
        out.print(link, markup=False)


def link_of(
    url: str, token: str, campaign: str, *, names: tuple[str, str], collector: str | None = None, fragment: bool = True
) -> str:
    """A person's link: the page with the token beside what it has, or the collector's redirect to the page.

    Every byte of ``url`` stays. ``names``: of the token's and the campaign's parameter. ``fragment``: the token stands
    behind ``#``, where no server's log sees it; by the redirect too, where the person lands.
    """
    token_param, campaign_param = names
    if collector:
        query = {"u": url, **({campaign_param: campaign} if campaign else {})}
        door = f"{collector.rstrip('/')}/r/{quote(token, safe='')}{'/fragment' if fragment else ''}"
        return f"{door}?{urlencode(query, quote_via=quote, safe='')}"
    return landing_url(url, {campaign_param: campaign} if campaign else {}, {token_param: token}, fragment=fragment)


@click.command("tokens")
@click.argument("workspace", metavar="WORKSPACE | push")
@click.argument("account", required=False)
@click.option(
    "--out", "target", type=click.Path(dir_okay=False, path_type=Path), help="A CSV with addresses, for upload."
)
@home_option
@json_option
def tokens_command(workspace: str, account: str | None, target: Path | None, home: Path, as_json: bool) -> None:
    """Write the token of everybody of WORKSPACE, as a merge field; or push them: `segma tokens push ACCOUNT`.

    Pushed, they go into the platform's own field, behind live moves and at the account's pace; pushing again goes on
    where it was. It ends with the platform's syntax for a link.

    On standard output by subscriber id. With --out a CSV with the address beside it, for an email platform to import:
    the only file in which Segma writes addresses, readable by its owner alone.
    """
    if account is not None:
        if workspace != "push":
            fail("write `segma tokens WORKSPACE` or `segma tokens push ACCOUNT`", Exit.USAGE)
        from cli.push import push_tokens  # noqa: PLC0415 - it needs what delivers

        push_tokens(home, account, as_json=as_json)
        return
    config, installation, log = open_home(home)
    workspace_of(installation, workspace, config)
    keyring = load_keyring(installation, beside=config)
    people = list(Directory(log).people(workspace))
    log.close()
    tokens = [(entry, keyring.seal(Claims(workspace, entry.subscriber, entry.imported_at_s))) for entry in people]
    if target is not None:
        target.touch(mode=0o600)
        target.chmod(0o600)  # one that was there already keeps its own mode
        with target.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("address", "token"), *((entry.address, token) for entry, token in tokens)])
        err.print(f"{counted(len(tokens), 'token')} written.")
    elif as_json:
        for entry, token in tokens:
            print_json({"subscriber": entry.subscriber, "token": token})
    else:
        csv.writer(sys.stdout).writerows(
            [("subscriber", "token"), *((each.subscriber, token) for each, token in tokens)]
        )
