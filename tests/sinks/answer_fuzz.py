"""Every answer of every imitated platform, spoilt in every way: ``python -m tests.sinks.answer_fuzz``.

A change, a reading of a list and a check of rights are carried out again and again, each time with one answer that
lacks a field, has another type, null, nothing, HTML or an error in it. Whatever comes: no exception but the closed ones
leaves a sink, and nothing is said to be done that is not so. Exit status 1 where something was found.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import functools
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import requests

from sinks.base import Change, Done, NoSuchList, PlatformError, Sink, Trouble
from tests.sinks.consent_bed import Fuse, InProcess, sink_over
from tests.sinks.consent_files import FileDialect
from tests.sinks.consent_platforms import PLATFORMS, READ
from tests.sinks.consent_sympa import SympaDialect
from tests.sinks.simulator.imitation import Imitation
from tests.sinks.simulator.server import Answer
from tests.sinks.simulator.world import World

NAMES = [name for name in READ if PLATFORMS[name].dialect not in {FileDialect, SympaDialect}]
"""The platforms that answer over HTTP."""
ANNA, BEN = "anna@example.org", "ben@example.org"
WRONG: Sequence[Any] = (None, 7, -1, True, 1.5, "", "x", "x" * 5_000, [], [None], [[]], {}, {"": None})
BODIES: Sequence[Any] = (None, [], {}, 7, True, "text", [None], [{}], {"data": None})
WHOLE: Sequence[Answer] = (
    *(Answer(200, json.dumps(each).encode()) for each in BODIES),
    *(Answer(200, {"error": {"message": "no", "code": 500}}) for _ in "1"),
    *(Answer(200, {name: [{"detail": "no"}]}) for name in ("errors", "error")),
    *(Answer(status, b"<html><body>Log in</body></html>", media="text/html") for status in (200, 201, 400, 403, 404)),
    *(Answer(status, b"") for status in (200, 201, 202, 204, 400, 404, 409, 422, 500)),
    *(Answer(status, {}) for status in (201, 202, 400, 401, 403, 404, 409, 410, 418, 422, 429, 503)),
    *(Answer(status, [1]) for status in (400, 404, 422)),
    *(Answer(status, {"message": None, "errors": None, "detail": 7, "title": []}) for status in (400, 404, 422)),
    Answer(200, b'{"data": [tru'),
    Answer(200, b"\xff\xfe\x00"),
    Answer(200, b"[" * 20_000),
    Answer(200, b'{"a": 1e999999, "b": NaN}'),
    Answer(200, b'{"a": ' + b"9" * 6_000 + b"}"),
    Answer(200, b'"' + b"x" * 3_000_000 + b'"'),
    Answer(429, b"", {"Retry-After": "soon"}, "text/plain"),
    Answer(429, b"", {"Retry-After": "-5"}, "text/plain"),
    Answer(429, b"", {"Retry-After": "1e400"}, "text/plain"),
    Answer(503, b"", {"Retry-After": "99999999999999999999"}, "text/plain"),
)
"""Answers in whole."""


NAMED = {"id", "listId", "name", "tag", "list", "email", "listIds", "emailListIds"}
"""Fields by which a platform names a thing: with another value they name another thing, and nobody could know."""


OMITTED = {"emailListIds"}
"""Fields that a platform leaves out where they are empty: an answer without one is well formed."""


class Spoilt(NamedTuple):
    """One spoiling: of which answer, in words, and the answer then.

    ``readable``: it is of the documented form, though a lie. ``undone``: what was asked for was not done.
    """

    at: int
    said: str
    made: Callable[[Answer], Answer]
    readable: bool = False
    undone: bool = False


class Spoiling(InProcess):
    """The imitated platform in this process; its answers are numbered, and one is spoilt."""

    def __init__(self, dialect: Any, world: World, spoilt: Spoilt | None = None) -> None:
        super().__init__(dialect, world, Fuse())
        self.answers: list[Answer] = []
        self.paths: list[str] = []
        self._spoilt = spoilt

    def _answered(self, request: requests.PreparedRequest) -> Answer:
        spoilt = self._spoilt if self._spoilt is not None and self._spoilt.at == len(self.answers) else None
        answer = Answer(200) if spoilt is not None and spoilt.undone else super()._answered(request)
        self.answers.append(answer)
        self.paths.append(f"{request.method} {request.path_url.partition('?')[0]}")
        return answer if spoilt is None else spoilt.made(answer)


class Stage:
    """A platform with Anna in ``news``, a sink of it, and what is carried out there."""

    def __init__(self, platform: Imitation, data: Path, spoilt: Spoilt | None = None) -> None:
        dialect = platform.dialect()
        self._platform, self._readable = platform, spoilt is not None and spoilt.readable
        self.world = getattr(type(dialect), "world", World)()
        for name in ("news", "other"):
            self.world.put(ANNA, name)
        self.door = Spoiling(dialect, self.world, spoilt)
        around: dict[str, Any] = {"now_ms": lambda: 1_800_000_000_000, "log": None, "strangers": "add"}
        self.sink: Sink = sink_over(dialect, self.world, Fuse(), platform.options, around=around, data=data)
        platform_of: Any = self.sink
        platform_of._platform._http._session.mount("http://", self.door)

    def changes(self) -> str:
        """What is wrong after a call; empty: nothing."""
        token = [(name, "t-1") for name in [self._platform.token_field] if name]
        changes = [
            Change(
                "c1", "s_anna", ANNA, ("hot",), ("news",), fields=tuple(token), consent_in=("news",), met_in=("news",)
            ),
            Change("c2", "s_ben", BEN, ("hot",), ("news",)),
        ]
        size = min(self.sink.traits.batch, len(changes))
        for few in [changes[at : at + size] for at in range(0, len(changes), size)]:
            answers: list[Any] = self.sink.apply(few)
            if len(answers) != len(few):
                return f"{len(answers)} answers of {len(few)}"
            for change, answer in zip(few, answers, strict=True):
                if not isinstance(answer, Done | Trouble):
                    return f"no answer: {answer!r}"
                if isinstance(answer, Done) and not self._readable and (fault := self._untrue(change, answer)):
                    return f"{fault}; said {answer.changed}"
        return ""

    def _untrue(self, change: Change, answer: Done) -> str:
        """What is not as a change that is done says."""
        missing = [name for name in change.add if change.address not in self.world.members(name)]
        left = [name for name in change.remove if change.address in self.world.members(name)]
        person = self.world.person(change.address)
        written = all(person is not None and person.fields.get(name) == value for name, value in change.fields)
        return "" if not (missing or left) and written else f"done, but not in {missing}, in {left}, field: {written}"

    def reads(self) -> str:
        """What is wrong with a reading of a list and a check of rights."""
        found = Counter[str]()
        with contextlib.suppress(PlatformError, NoSuchList):
            found.update(each.address for each in self.sink.members("news"))
        with contextlib.suppress(PlatformError):
            list(self.sink.rights())
        return "" if all(isinstance(each, str) for each in found) else "a member without an address"

    def close(self) -> None:
        self.sink.close()


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON value, of lists the first and the last item."""
    if path:
        yield path
    if isinstance(value, dict):
        for name in value:
            yield from places(value[name], (*path, name))
    elif isinstance(value, list) and value:
        for index in sorted({0, len(value) - 1}):
            yield from places(value[index], (*path, index))


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    return functools.reduce(lambda found, step: found[step], path, value)


def _instead(whole: Answer, answer: Answer) -> Answer:
    return whole


def _with(path: tuple[Any, ...], value: Any, answer: Answer) -> Answer:
    body = copy.deepcopy(answer.body)
    _at(body, path[:-1])[path[-1]] = value
    return answer._replace(body=body)


def _without(path: tuple[Any, ...], answer: Answer) -> Answer:
    body = copy.deepcopy(answer.body)
    del _at(body, path[:-1])[path[-1]]
    return answer._replace(body=body)


def is_readable(path: tuple[Any, ...], value: Any, before: Any) -> bool:
    """Whether another value at a place is as well formed as the one before."""
    named = {each for each in path[-2:] if isinstance(each, str)} & NAMED
    if named and not isinstance(before, dict | list):
        return isinstance(value, str | int) and not isinstance(value, bool) and value != ""
    return value in ([], {}) and isinstance(before, list | dict)


def spoilings(answers: Sequence[Answer], paths: Sequence[str]) -> Iterator[Spoilt]:
    """Every spoiling of every answer."""
    for at, answer in enumerate(answers):
        for whole in WHOLE:
            said = f"{whole.status} {str(whole.body)[:60]}"
            made = functools.partial(_instead, whole)
            yield Spoilt(at, said, made)
            if not paths[at].startswith("GET") and (whole.status, whole.body) != (answer.status, answer.body or b""):
                yield Spoilt(at, f"not done, {said}", made, undone=True)
        if isinstance(answer.body, dict | list):
            for path in places(answer.body):
                yield Spoilt(
                    at,
                    f"{path} gone",
                    functools.partial(_without, path),
                    isinstance(path[-1], int) or path[-1] in OMITTED,
                )
                for value in WRONG:
                    said = f"{path} = {str(value)[:20]!r} {type(value).__name__}"
                    readable = is_readable(path, value, _at(answer.body, path))
                    yield Spoilt(at, said, functools.partial(_with, path, value), readable)


def fuzz(name: str, data: Path, *, step: int = 1, only: int = -1) -> tuple[int, list[str]]:
    """How many spoilings there were (each ``step``-th; of the answer ``only`` alone), and what was wrong."""
    platform, count, wrong = PLATFORMS[name], 0, list[str]()
    for what in ("changes", "reads"):
        well = Stage(platform, data)
        assert getattr(well, what)() == ""
        well.close()
        for number, spoilt in enumerate(spoilings(well.door.answers, well.door.paths)):
            if number % step or only not in {-1, spoilt.at}:
                continue
            count += 1
            stage = Stage(platform, data, spoilt)
            try:
                fault = getattr(stage, what)()
            except Exception as error:
                fault = f"{type(error).__name__}: {str(error)[:80]}"
            finally:
                stage.close()
            if fault:
                where = f"{name} {what} {spoilt.at} {well.door.paths[spoilt.at]}"
                wrong.append(f"{where}: {spoilt.said}: {fault}")
    return count, wrong


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--platform", choices=[*NAMES, "all"], default="all")
    parser.add_argument("--step", type=int, default=1, help="of so many spoilings one")
    asked = parser.parse_args()
    failed = 0
    for name in NAMES if asked.platform == "all" else [asked.platform]:
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="segma-answers-") as directory:
            count, wrong = fuzz(name, Path(directory), step=asked.step)
        failed += len(wrong)
        lines = "".join(f"  {each}\n" for each in wrong)
        took = time.monotonic() - started
        sys.stdout.write(f"{lines}{name}: {count} spoilt answers, {len(wrong)} wrong, {took:.0f} s\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
