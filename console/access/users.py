"""The console's own users: a file beside ``segma.yaml`` with their names, password hashes (argon2id) and roles."""

from __future__ import annotations

import fcntl
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from console.access.table import ROLES, Role
from contracts.codec import Value, json_reader, to_json, written
from contracts.errors import BadRecord, ConfigError, Problem
from contracts.plurals import counted

USERS_FILE: Final = Path("secrets") / "console-users.json"
"""Relative to ``segma.yaml``."""
MIN_PASSWORD: Final = 12
MAX_PASSWORD: Final = 1_024
"""Characters: the hash of more costs time and adds nothing."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


class User(Value, frozen=True):
    """One user. ``password`` is its hash; ``roles`` are those that the user has, by workspace."""

    name: str
    password: str
    roles: dict[str, str]

    def role_in(self, workspace: str) -> Role | None:
        """The role in a workspace; None: none, or one that this release does not know."""
        return ROLES.get(self.roles.get(workspace, ""))


class UsersFile(Value, frozen=True):
    """What the file holds."""

    SCHEMA: ClassVar[int] = 1

    users: tuple[User, ...] = ()
    schema: int = written(1)


_read: Final = json_reader(UsersFile)


class Users:
    """The users of an installation. The file is read again whenever it has changed, so a change counts at once."""

    def __init__(self, config: Path, hasher: PasswordHasher | None = None) -> None:
        """``config``: the path of ``segma.yaml``."""
        self.path = config.parent / USERS_FILE
        self._hasher = hasher or PasswordHasher()
        self._nobody = self._hasher.hash("nobody's password")
        self._seen: tuple[int, int, int] | None = None
        self._users: dict[str, User] = {}

    def known(self) -> dict[str, User]:
        """Every user by name. Raises :class:`ConfigError` where the file cannot be used."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            self._seen, self._users = None, {}
            return self._users
        seen = (found.st_mtime_ns, found.st_ino, found.st_size)
        if seen != self._seen:
            self._users, self._seen = self._loaded(), seen
        return self._users

    def _loaded(self) -> dict[str, User]:
        try:
            held: UsersFile = _read(self.path.read_bytes())
        except (OSError, BadRecord) as error:
            wanted = "mend it, or remove it and add users with `segma users add`"
            raise ConfigError([Problem(str(self.path), "", f"cannot be used ({error})", wanted)]) from None
        return {user.name: user for user in held.users}

    def checked(self, name: str, password: str) -> User | None:
        """The user whose name and password these are; None: nobody's. A name that nobody has takes as long."""
        user = self.known().get(name)
        try:
            self._hasher.verify(user.password if user else self._nobody, password[:MAX_PASSWORD])
        except (VerificationError, InvalidHashError):
            return None
        return user

    def put(self, name: str, password: str | None, roles: dict[str, str]) -> None:
        """Add a user, or change one: ``password`` None keeps the former, and roles are added to those there are.

        Raises :class:`ConfigError` with what is wrong with the name, the password or a role.
        """
        with self._locked():
            former = self.known().get(name)
            if problems := _problems(name, password, roles, is_new=former is None):
                raise ConfigError(problems)
            hashed = self._hasher.hash(password) if password is not None else former.password if former else ""
            user = User(name, hashed, {**(former.roles if former else {}), **roles})
            self._write({**self.known(), name: user})

    def remove(self, name: str) -> bool:
        """Take a user away; whether there was one."""
        with self._locked():
            left = {each: user for each, user in self.known().items() if each != name}
            if len(left) == len(self.known()):
                return False
            self._write(left)
            return True

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self.path.parent, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _write(self, users: dict[str, User]) -> None:
        handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=".console-users.")
        with os.fdopen(handle, "wb") as file:
            file.write(to_json(UsersFile(tuple(users[each] for each in sorted(users)))) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(self.path)


def _problems(name: str, password: str | None, roles: dict[str, str], *, is_new: bool) -> list[Problem]:
    found = []
    if not _NAME.fullmatch(name):
        found.append(Problem("user", "name", repr(name[:64]), "letters, digits and . _ @ -, at most 64"))
    if is_new and password is None:
        found.append(Problem("user", "password", "is missing", "a new user needs one"))
    if password is not None and not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        found.append(Problem("user", "password", counted(len(password), "character"), f"at least {MIN_PASSWORD}"))
    unknown = [role for role in roles.values() if role not in ROLES]
    found += [Problem("user", "role", repr(role[:64]), f"one of {', '.join(ROLES)}") for role in unknown]
    return found
