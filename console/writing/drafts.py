"""Drafts of listeners: a file each in ``drafts/`` of the listeners' folder, which no start brings to work."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import threading
from pathlib import Path
from typing import Final, NamedTuple

from console.writing.checkout import committed
from console.writing.merge import MAX_BYTES
from contracts.errors import SegmaError
from flows.language.files import listener_files
from flows.language.source import Report, documents

FOLDER: Final = "drafts"
"""Of the listeners' folder. A file in the folder itself would be live from the next start on."""
_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_MODE: Final = 0o644


class NotSaved(SegmaError):
    """The draft was not written; the text says why."""


class Draft(NamedTuple):
    """A draft's text. ``token`` tells it from every other text; empty: there is no file."""

    text: str
    token: str


class Conflict(SegmaError):
    """Somebody else saved the draft meanwhile: ``theirs`` is what is there now."""

    def __init__(self, theirs: Draft, user: str) -> None:
        self.theirs, self.user = theirs, user
        super().__init__(f"saved by {user or 'somebody'} meanwhile")


def is_name(name: str) -> bool:
    """Whether a listener could be called so: such a name is no path."""
    return len(name) <= 80 and _NAME.fullmatch(name) is not None


class Drafts:
    """The drafts of one workspace. Safe to share between threads."""

    def __init__(self, listeners: Path) -> None:
        """``listeners``: the folder of what is at work; it need not be there yet."""
        self._listeners, self._folder = listeners, listeners / FOLDER
        self._lock = threading.Lock()
        self._savers: dict[str, str] = {}

    def names(self) -> list[str]:
        """The listeners of which there is a draft."""
        return sorted(path.stem for path in self._folder.glob("*.yaml") if is_name(path.stem))

    def path(self, name: str) -> Path:
        """The file of a draft, by a name that :func:`is_name` has let through."""
        if not is_name(name):
            raise NotSaved("a draft needs the listener's name: kebab-case, such as basket-abandoned")
        return self._folder / f"{name}.yaml"

    def read(self, name: str) -> Draft:
        """A draft as it is now. Raises :class:`NotSaved` where its file cannot be read."""
        try:
            data = self.path(name).read_bytes()
            return Draft(data.decode("utf-8-sig").replace("\r\n", "\n"), hashlib.sha256(data).hexdigest())
        except FileNotFoundError:
            return Draft("", "")
        except (OSError, UnicodeDecodeError) as error:
            raise NotSaved(f"the draft's file cannot be read ({_why(error)})") from None

    def save(self, name: str, text: str, token: str, user: str) -> tuple[Draft, str]:
        """Write a draft that is still as ``token`` says; and say what a checkout of git answered, empty if well.

        Raises :class:`Conflict` where it is not, :class:`NotSaved` where it cannot be written.
        """
        path, data = self.path(name), text.encode()
        if len(data) > MAX_BYTES:
            raise NotSaved(f"the text is longer than {MAX_BYTES} bytes")
        with self._lock:
            there = self.read(name)
            if there.token not in {token, hashlib.sha256(data).hexdigest()}:
                raise Conflict(there, self._savers.get(name, ""))
            _write(path, data)
            self._savers[name] = user
            said = committed(self._listeners, [path], user, f"Draft {name}")
        return self.read(name), said

    def put_to_work(self, name: str, text: str, user: str, message: str) -> str:
        """Write what was applied into the listeners' folder, and take a draft of the same text away; what a checkout of
        git answered. Raises :class:`NotSaved`.
        """
        with self._lock:
            draft, target = self.path(name), self._target(name)
            _write(target, text.encode())
            paths = [target]
            if self.read(name).text == text:
                draft.unlink(missing_ok=True)
                self._savers.pop(name, None)
                paths = [draft, target]
            return committed(self._listeners, paths, user, message)

    def at_work(self, name: str) -> str:
        """The text of a listener's file in the folder itself; empty: it has none of its own."""
        path = self._own_file(name)
        return path.read_text("utf-8-sig").replace("\r\n", "\n") if path is not None else ""

    def _target(self, name: str) -> Path:
        own, usual = self._own_file(name), self._listeners / f"{name}.yaml"
        if own is not None or not usual.exists():
            return own or usual
        return self._listeners / f"{name}.{FOLDER}.yaml"  # the usual file holds other listeners too

    def _own_file(self, name: str) -> Path | None:
        """The file in the folder that holds this listener and no other."""
        files = listener_files(self._listeners) if self._listeners.is_dir() else []
        files.sort(key=lambda path: path.stem != name)
        return next((path for path in files if _only_listener(path) == name), None)


def _only_listener(path: Path) -> str:
    try:
        nodes = documents(path.read_bytes(), Report(path.name))
    except OSError:
        return ""
    name = nodes[0].get("listener") if len(nodes) == 1 else None
    return name.text if name is not None else ""


def _write(path: Path, data: bytes) -> None:
    """Put a file there whole, readable as others of the folder are."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".draft.")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(draft).chmod(path.stat().st_mode & 0o777 if path.exists() else _MODE)
        Path(draft).replace(path)
    except OSError as error:
        raise NotSaved(f"the draft cannot be written ({_why(error)})") from None


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
