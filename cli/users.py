"""``segma users``: who may sign in to the console, and what they may do in which workspace."""

from __future__ import annotations

import secrets
from pathlib import Path

import click
from rich.table import Table

from cli.output import Exit, err, fail, out, print_json
from cli.up import home_option, json_option
from console.access.table import ROLES
from console.access.users import Users
from contracts.errors import ConfigError, Problem
from transport.config import load_installation

FIRST_USER = "admin"


def new_password() -> str:
    """A password that nobody can guess, 24 characters."""
    return secrets.token_urlsafe(18)


def add_first_user(home: Path, workspace: str) -> str:
    """Add the first user, an engineer of the workspace, and return the password, which is kept nowhere."""
    password = new_password()
    Users(home / "segma.yaml").put(FIRST_USER, password, {workspace: "engineer"})
    return password


def _users(home: Path) -> Users:
    load_installation(home / "segma.yaml")
    return Users(home / "segma.yaml")


@click.group("users")
def users_command() -> None:
    """Say who may sign in to the console. A change counts at once; nothing has to be started again."""


@users_command.command("add")
@click.argument("name")
@click.option("--role", type=click.Choice(list(ROLES)), default="viewer", show_default=True, help="What NAME may do.")
@click.option("--workspace", "workspaces", multiple=True, help="Where; may be given again [default: everywhere].")
@home_option
@json_option
def add_user(name: str, role: str, workspaces: tuple[str, ...], home: Path, as_json: bool) -> None:
    """Add NAME, or give NAME a role in more workspaces. A new user's password is printed once and kept nowhere."""
    installation = load_installation(home / "segma.yaml")
    unknown = [each for each in workspaces if each not in installation.workspaces]
    if unknown:
        known = ", ".join(installation.workspaces)
        raise ConfigError([Problem("--workspace", each, "no such workspace", f"known: {known}") for each in unknown])
    users = Users(home / "segma.yaml")
    password = None if name in users.known() else new_password()
    users.put(name, password, dict.fromkeys(workspaces or installation.workspaces, role))
    _tell(name, password, as_json=as_json)


@users_command.command("passwd")
@click.argument("name")
@click.option("--ask", is_flag=True, help="Ask for the password instead of making one.")
@home_option
@json_option
def change_password(name: str, ask: bool, home: Path, as_json: bool) -> None:
    """Give NAME a new password; NAME's sessions end."""
    users = _users(home)
    if name not in users.known():
        fail(f"no user {name}", Exit.PROBLEMS)
    asked = click.prompt("New password", hide_input=True, confirmation_prompt=True) if ask else None
    made = None if ask else new_password()
    users.put(name, asked or made, {})
    _tell(name, made, as_json=as_json)


@users_command.command("remove")
@click.argument("name")
@home_option
def remove_user(name: str, home: Path) -> None:
    """Take NAME away; NAME's sessions end."""
    if not _users(home).remove(name):
        fail(f"no user {name}", Exit.PROBLEMS)
    err.print(f"{name} may sign in no more", markup=False)


@users_command.command("list")
@home_option
@json_option
def list_users(home: Path, as_json: bool) -> None:
    """Every user, with the role in each workspace."""
    users = _users(home).known()
    table = Table("user", "roles", box=None, pad_edge=False)
    for name, user in users.items():
        if as_json:
            print_json({"name": name, "roles": user.roles})
        table.add_row(name, ", ".join(f"{role} in {workspace}" for workspace, role in user.roles.items()))
    if not as_json:
        out.print(table)


def _tell(name: str, password: str | None, *, as_json: bool) -> None:
    if as_json:
        print_json({"name": name, **({"password": password} if password else {})})
    elif password:
        err.print(f"{name}'s password, shown this once:", markup=False)
        out.print(password, markup=False)
    else:
        err.print(f"{name} is changed", markup=False)
