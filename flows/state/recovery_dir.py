"""The recovery store of one flow process: its directory, its lock, and whether it fits what is to run on it."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Final

from contracts.codec import Value, json_reader, replaced, to_json, written
from contracts.errors import AlreadyRunning, BadRecord, ConfigError, Problem
from contracts.reasons import Reason

START_ANEW: Final = (
    "put it back, or remove the store: the flow then starts from the log, and the ledger skips what was done"
)


SHAPE_FILE: Final = "shape.json"
LAYOUT: Final = 2
"""What lies in a store, and under which names. 1: a position for each partition; 2: one for all of them."""
RESCALED: Final = "rescaled"
"""Where the stores of another number of processes lie that :mod:`flows.rescale` has not all put in their places yet."""


class StoreShape(Value, frozen=True):
    """What a store was made for: frozen for its life, but for workspaces that join later.

    ``topics``: topic → the log's own id of it. ``workspaces``: name → a fingerprint of its secret.
    """

    SCHEMA: ClassVar[int] = 1

    partitions: int
    groups: int
    index: int
    of: int
    topics: dict[str, str]
    workspaces: dict[str, str]
    layout: int = 1
    schema: int = written(1)


_read: Final[Callable[[bytes], StoreShape]] = json_reader(StoreShape)


def fingerprint(secret: bytes) -> str:
    """Sixteen hexadecimal digits that tell one workspace's secret from another's, and nothing of it."""
    return hmac.new(secret, b"segma recovery store", hashlib.sha256).hexdigest()[:16]


def directory_of(data: Path, index: int, of: int) -> Path:
    """Where the store of a process lies."""
    return recovery_of(data) / f"{index}-of-{of}"


def recovery_of(data: Path) -> Path:
    """Where the stores of all processes of a machine lie."""
    return data / "recovery"


@contextlib.contextmanager
def locked(store: Path) -> Iterator[Path]:
    """Own a store, alone. Raises :class:`AlreadyRunning`: Bytewax itself would start a second flow without a word."""
    store.mkdir(parents=True, exist_ok=True)
    with (store / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise AlreadyRunning(f"another flow uses {store}") from None
        yield store


def check_store(store: Path, wanted: StoreShape, at_work: int | None = 0) -> None:
    """Hold a store against what is to run on it, and note what it is for. Raises :class:`ConfigError`, a line each.

    ``at_work``: how many processes have shared the log so far (:mod:`flows.state.at_work`); 0: none; None: some.
    """
    if (store.parent / RESCALED).exists():
        again = "run `segma flow rescale` again, with the same numbers: it goes on where it was"
        raise ConfigError([Problem(str(store.parent), "", "a rescale was cut off at its end", again)])
    found = shape_in(store)
    if found is None:
        _check_neighbours(store)
        _check_others(store, wanted.of, at_work)
        found = wanted
    problems = [Problem(str(store), "", text, START_ANEW) for text in _differences(found, wanted)]
    if problems:
        raise ConfigError(problems)
    write_shape(store, replaced(wanted, workspaces={**found.workspaces, **wanted.workspaces}))


def write_shape(store: Path, shape: StoreShape) -> None:
    """Note what a store is for."""
    path = store / SHAPE_FILE
    temporary = path.with_suffix(".new")
    temporary.write_bytes(to_json(shape))
    temporary.replace(path)


def shape_in(store: Path) -> StoreShape | None:
    """What a store was made for; None where there is none. Raises :class:`ConfigError` where it cannot be read."""
    path = store / SHAPE_FILE
    try:
        return _read(path.read_bytes())
    except FileNotFoundError:
        return None
    except BadRecord as error:
        newer = error.reason is Reason.NEWER_SCHEMA
        text = f"was written by a newer release ({error.detail})" if newer else "its shape.json cannot be read"
        raise ConfigError([Problem(str(path.parent), "", text, START_ANEW)]) from None


def _check_neighbours(store: Path) -> None:
    """A new store beside one for another number of processes would begin at the log's start: say so first."""
    of = store.name.rpartition("-")[2]
    strange = [name for name in stores_in(store.parent) if name.rpartition("-")[2] != of]
    if strange:
        text = f"the state lies in {', '.join(strange)}: it was made for another number of processes"
        was = strange[0].rpartition("-")[2]
        move = f"`segma flow rescale --from {was} --to {of}` moves it; or {START_ANEW}"
        raise ConfigError([Problem(str(store.parent), "", text, move)])


def _check_others(store: Path, of: int, at_work: int | None) -> None:
    """A new store where others have been at work on theirs would begin at the log's start, and take what is theirs."""
    if at_work is None and of > 1:
        # NOTE: of a pair that is upgraded as it is, whoever has its store comes up and tells; the other is tried again.
        text = f"is new and for one of {of} flow processes, and an earlier release has worked on this log: of how many?"
        first = "start as many as there were, on their stores, and `segma flow rescale` then"
        raise ConfigError(
            [Problem(str(store), "", text, f"{first}; where all stores are lost, start one process, and rescale then")]
        )
    if at_work not in {None, 0, of}:
        text = f"is new and for one of {of} flow processes, while {at_work} share this log with stores of their own"
        lost = f"where those are lost, start {at_work} processes and rescale then"
        raise ConfigError(
            [Problem(str(store), "", text, f"`segma flow rescale --from {at_work} --to {of}` moves the states; {lost}")]
        )


def stores_in(recovery: Path) -> list[str]:
    """The names of the stores that lie in a directory."""
    return sorted(each.parent.name for each in recovery.glob(f"*-of-*/{SHAPE_FILE}"))


def _differences(found: StoreShape, wanted: StoreShape) -> Iterator[str]:
    if found.layout != wanted.layout:
        yield f"was written by {'an older' if found.layout < wanted.layout else 'another'} release, in another layout"
    for name in ("partitions", "groups", "index", "of"):
        was, now = getattr(found, name), getattr(wanted, name)
        if was != now:
            yield f"was made for `{name}` {was}, not {now}"
    strange = [name for name, topic_id in wanted.topics.items() if found.topics.get(name, topic_id) != topic_id]
    if strange:
        yield f"belongs to another log: {' and '.join(strange)} there is another topic, or was made anew"
    yield from _foreign(found.workspaces, wanted.workspaces)


def _foreign(found: Mapping[str, str], wanted: Mapping[str, str]) -> Iterator[str]:
    changed = sorted(name for name in found.keys() & wanted.keys() if found[name] != wanted[name])
    if changed:
        yield f"holds another workspace: the secret of {', '.join(changed)} is not the one it was made with"
    elif found and not found.keys() & wanted.keys():
        yield f"holds another workspace: it was made for {', '.join(sorted(found))}"
