"""What the engine says of an error in bytes that are no UTF-8, and where that is lost."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from analytics.embedded import engine
from analytics.embedded.engine import Connection, EngineError
from analytics.embedded.recent import Recent


class _Answer:
    """As much of chDB's answer as is asked for."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def bytes(self) -> bytes:
        return self._data

    def storage_rows_read(self) -> int:
        return 1

    def storage_bytes_read(self) -> int:
        return 1


class _Mumbling:
    """A connection whose errors quote what cannot be read; ``words``: what is left of them."""

    def __init__(self, words: bytes) -> None:
        self._words = words

    def query(self, sql: bytes, _: str, *, params: Mapping[str, str] | None = None) -> _Answer:
        if b"OrNull" in sql:
            return _Answer(b"1\n" if params and "nothing" in params["sql"] else b"0\n")
        raise UnicodeDecodeError("utf-8", self._words, 0, 1, "invalid start byte")

    def close(self) -> None:
        pass


def connection(monkeypatch: pytest.MonkeyPatch, words: bytes) -> Connection:
    monkeypatch.setattr(engine, "_connect", lambda _: _Mumbling(words))
    return Connection("", Recent())


def test_what_is_left_of_the_words_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    words = b"Code: 62. DB::Exception: Syntax error: nothing_\xff. (SYNTAX_ERROR)"
    with pytest.raises(EngineError, match="nothing_\ufffd") as refused:
        connection(monkeypatch, words).statement("nothing_\udcff")
    assert refused.value.code == 62


@pytest.mark.parametrize("words", [b"\0\xff", b"\xff", b""])
def test_what_is_no_statement_is_a_syntax_error_though_the_words_are_lost(
    monkeypatch: pytest.MonkeyPatch, words: bytes
) -> None:
    with pytest.raises(EngineError, match="Syntax error") as refused:
        connection(monkeypatch, words).statement("nothing_\udcff")
    assert refused.value.code == 62


def test_of_what_is_a_statement_it_is_said_that_they_are_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineError, match="lost") as refused:
        connection(monkeypatch, b"\xff").statement("SELECT '\udcff'")
    assert refused.value.code == 1002
