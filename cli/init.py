"""``segma init``: the files of a new installation, ready for ``segma up``."""

from __future__ import annotations

import secrets
import shlex
from pathlib import Path
from urllib.parse import urlsplit

import click
import yaml

from cli.output import Exit, err, fail, out, print_json
from cli.up import DEFAULT_PORT_BASE, home_option, json_option, ports_option
from cli.users import FIRST_USER, add_first_user
from contracts.installation import check_installation
from contracts.tokens import KEY_BYTES

LISTENER = """\
# A listener: a row of actions, and what to do when somebody completes it. `segma listeners check` reads it;
# `segma actions` lists what a step can name.
listener: looked-twice
description: Came from a mail and looked at two pages of one category.
sequence:
  - action: email_clicked
  - step: looked
    action: page_viewed
  - action: page_viewed
    where: {category: {same_as: looked.category}}
within: 2h
then:
  - add: {to: "likes-{looked.category}", at: mailbox}
"""


def write_once(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write a file that is not there yet, never readable by more than ``mode`` says."""
    if path.exists():
        return
    path.parent.mkdir(mode=0o755 if mode & 0o044 else 0o700, parents=True, exist_ok=True)
    path.touch(mode=mode)
    path.write_text(text, encoding="utf-8")


def write_secrets(home: Path, workspace: str) -> None:
    """Write a workspace's secret and the key of link tokens, readable by their owner alone; existing ones stay."""
    write_once(home / "secrets" / workspace, f"{secrets.token_hex(32)}\n", mode=0o600)
    write_once(home / "secrets" / "token-keys", f"k1 {secrets.token_hex(KEY_BYTES)}\n", mode=0o600)


def installation_of(workspace: str, origin: str) -> dict[str, object]:
    """``segma.yaml`` with one workspace, one site and an account whose lists are files."""
    parts = urlsplit(origin)
    site = {"key": f"{workspace}-site", "origins": [origin], "redirect_hosts": [parts.netloc]}
    return {
        "token_keys": {"file": "secrets/token-keys"},
        "workspaces": {
            workspace: {
                "secret": {"file": f"secrets/{workspace}"},
                "sites": {"site": site},
                "accounts": {"mailbox": {"sink": "file"}},
            }
        },
    }


def _checked_origin(ctx: click.Context, param: click.Parameter, value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path or parts.query:
        raise click.BadParameter("write scheme and host, as in https://shop.example")
    return value


@click.command()
@home_option
@click.option("--workspace", default="main", show_default=True, help="Name of the first workspace.")
@click.option(
    "--origin", required=True, callback=_checked_origin, help="Where your pages are, as in https://shop.example."
)
@ports_option
@json_option
def init_command(home: Path, workspace: str, origin: str, port_base: int, as_json: bool) -> None:
    """Write segma.yaml, its secrets and a first listener into a directory; then `segma up` runs it."""
    config = home / "segma.yaml"
    if config.exists():
        fail(f"{config} is there already; nothing was changed", Exit.USAGE)
    content = installation_of(workspace, origin)
    check_installation(content, where=str(config))
    write_secrets(home, workspace)
    write_once(home / "listeners" / "looked-twice.yaml", LISTENER)
    write_once(config, yaml.safe_dump(content, sort_keys=False))
    password = add_first_user(home, workspace)
    collector = f"http://127.0.0.1:{port_base}"
    tag = f'<script async src="{collector}/sdk/segma.js" data-site="{workspace}-site"></script>'
    if as_json:
        user = {"user": FIRST_USER, "password": password}
        account = f"{workspace}/mailbox"
        print_json({"config": str(config), "workspace": workspace, "account": account, "script": tag, **user})
        return
    err.print(f"wrote {config}, secrets/ and listeners/looked-twice.yaml")
    err.print("Put this into your pages:", markup=False)
    out.print(tag, markup=False)
    err.print(f"The console's first user is {FIRST_USER}; the password, shown this once:", markup=False)
    out.print(password, markup=False)
    there = "" if home.resolve() == Path.cwd() else f" --home {shlex.quote(str(home))}"
    ports = "" if port_base == DEFAULT_PORT_BASE else f" --port-base {port_base}"
    people = home / "data" / "lists" / workspace / "mailbox" / "newsletter.txt"
    err.print(f"Then: addresses, one a line, into {people}", markup=False)
    err.print(f"and `segma import {workspace}/mailbox newsletter{there}`, `segma up{there}{ports}`.", markup=False)
