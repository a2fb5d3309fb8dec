"""``segma demo``: an installation of its own to play with, written once, kept over restarts."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import yaml

from analytics.config import analytics_settings_at
from cli.browser import browser_or_bring
from cli.init import write_secrets
from cli.local_kafka import choose_kafka
from cli.output import Exit, err, fail
from cli.people import import_people
from cli.supervise import running, supervise
from cli.up import (
    LocalAddresses,
    check_ports,
    json_option,
    kafka_option,
    ports_option,
    print_addresses,
    programs_of,
    sdk_bundle,
    wait_for_stop,
)
from sinks.base import Member
from transport.config import load_installation

LISTENERS: Final = ("clicked-looked-not-bought", "basket-abandoned", "viewed-category", "tried-it")
PEOPLE: Final = (
    Member("ada@example.org", "Ada"),
    Member("ben@example.org", "Ben"),
    Member("cleo@example.org", "Cleo"),
)
ACCOUNT: Final = "demo/mailbox"
LIST: Final = "newsletter"


def write_demo(home: Path, addresses: LocalAddresses) -> None:
    """Write ``segma.yaml`` for these addresses; secrets, listeners and the list's file where they are not there yet."""
    home.mkdir(parents=True, exist_ok=True)
    write_secrets(home, "demo")
    (home / "segma.yaml").write_text(yaml.safe_dump(_installation(addresses), sort_keys=False), encoding="utf-8")
    (home / "listeners").mkdir(exist_ok=True)
    for name in LISTENERS:
        target = home / "listeners" / f"{name}.yaml"
        if not target.exists():
            shutil.copyfile(_examples() / f"{name}.yaml", target)
    newsletter = home / "data" / "lists" / ACCOUNT / f"{LIST}.txt"
    if not newsletter.exists():
        newsletter.parent.mkdir(parents=True, exist_ok=True)
        newsletter.write_text("".join(f"{person.address}\n" for person in PEOPLE), encoding="utf-8")


def _examples() -> Path:
    return sdk_bundle().parents[2] / "listeners"


def _installation(addresses: LocalAddresses) -> dict[str, object]:
    shop = str(addresses.shop)
    site = {"key": "demo-shop", "origins": [shop], "redirect_hosts": [shop.removeprefix("http://")]}
    site |= {"capture": ["keys", "mouse", "clipboard"]}
    return {
        "token_keys": {"file": "secrets/token-keys"},
        "workspaces": {
            "demo": {
                "secret": {"file": "secrets/demo"},
                "sites": {"shop": site},
                "accounts": {"mailbox": {"sink": "file"}},
                "listeners": "listeners",
            }
        },
    }


def import_once(home: Path) -> None:
    """Bring the demo's people into the directory, and say once who is on the list."""
    done = home / "data" / ".imported"
    # NOTE: a second baseline would put back on the list who has been moved off it since.
    if done.exists():
        return
    people: Iterator[Member] = iter(PEOPLE)
    import_people(home, ACCOUNT, LIST, people)
    done.touch()


@click.command()
@click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".segma/demo"),
    show_default=True,
    help="Where the demo's installation and data are kept.",
)
@ports_option
@kafka_option
@click.option("--drive", is_flag=True, help="Let a headless Chromium make the trip, print the ledger, and end.")
@json_option
def demo_command(home: Path, port_base: int, kafka: bool, drive: bool, as_json: bool) -> None:
    """The whole trip on this machine: open a mail, walk through a shop, watch the lists. Ctrl-C stops everything."""
    addresses = LocalAddresses.at(port_base, shop=True, embedded=not analytics_settings_at(home).clickhouse_url)
    if drive:
        # NOTE: each drive begins with people who have not moved yet.
        home = home / time.strftime("drive-%Y%m%d-%H%M%S")
    if not (_examples() / f"{LISTENERS[0]}.yaml").exists():
        fail("the demo needs the project's checkout: run ./segma demo there", Exit.USAGE)
    # Before anything starts: it may have to be brought.
    browser = browser_or_bring() if drive else ""
    if running(home) is None:
        local = choose_kafka(home, port_base, wanted=kafka)
        check_ports(addresses, local)
        write_demo(home, addresses)
        if local is None:
            import_once(home)
    programs = programs_of(home, load_installation(home / "segma.yaml"), addresses)
    with supervise(home, programs, say=err.print) as supervised:
        import_once(home)  # into a log that had to be started first
        if drive:
            from cli.drive import drive_demo  # noqa: PLC0415 - the driver is installed for --drive alone

            drive_demo(home, addresses, browser, as_json=as_json)
            return
        print_addresses(supervised, addresses, as_json=as_json)
        err.print(f"Open {addresses.console}/inbox and follow a mail's link; {addresses.shop}/try has every action.")
        err.print("Ctrl-C stops everything.")
        wait_for_stop(supervised)
    err.print("stopped; the data stay in", str(home / "data"), markup=False)
