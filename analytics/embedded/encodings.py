"""The content encodings of ClickHouse's HTTP interface that clickhouse-connect speaks: lz4, zstd, gzip, deflate."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

import lz4.frame
from backports import zstd

from analytics.embedded.engine import EngineError, engine_error

PIECE: Final = 1024 * 1024


class Compressor(Protocol):
    """Bytes in, fewer bytes out; :meth:`finish` gives the end."""

    def compress(self, data: bytes) -> bytes:
        """What can be given now."""

    def finish(self) -> bytes:
        """The rest."""


class Decompressor(Protocol):
    """The way back."""

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """What can be given now, at most :data:`PIECE` at once: a small body may be a very large one in disguise.

        Raises :class:`EngineError` where it is not of the encoding.
        """


class _Plain:
    def compress(self, data: bytes) -> bytes:
        return data

    def pieces(self, data: bytes) -> Iterator[bytes]:
        yield data

    def finish(self) -> bytes:
        return b""


class _Zlib:
    def __init__(self, window: int) -> None:
        self._zlib = zlib.compressobj(3, zlib.DEFLATED, window)
        self.compress = self._zlib.compress

    def finish(self) -> bytes:
        return self._zlib.flush()


class _Zstd:
    def __init__(self) -> None:
        self._zstd = zstd.ZstdCompressor(level=1)
        self.compress = self._zstd.compress

    def finish(self) -> bytes:
        return self._zstd.flush()


class _Lz4:
    def __init__(self) -> None:
        self._frame = lz4.frame.LZ4FrameCompressor()
        self._begun = False

    def compress(self, data: bytes) -> bytes:
        head = b"" if self._begun else self._frame.begin()
        self._begun = True
        return bytes(head + self._frame.compress(data))

    def finish(self) -> bytes:
        return self.compress(b"") + bytes(self._frame.flush())


class _Safe:
    """A foreign decompressor whose faults are told in ClickHouse's words. Several frames in a row are one stream."""

    def __init__(self, name: str, make: Callable[[], Any]) -> None:
        self._name, self._make = name, make
        self._current = make()

    def pieces(self, data: bytes) -> Iterator[bytes]:
        try:
            while data:
                if self._current.eof:
                    self._current = self._make()
                yield self._current.decompress(data, PIECE)
                # NOTE: zlib hands back what it did not come to; the others keep it.
                while (rest := getattr(self._current, "unconsumed_tail", b"")) or _has_more(self._current):
                    yield self._current.decompress(rest, PIECE)
                data = self._current.unused_data if self._current.eof else b""
        except (zlib.error, zstd.ZstdError, RuntimeError, EOFError) as error:
            raise engine_error(271, f"The body is not {self._name}: {error}", "CANNOT_DECOMPRESS") from None


def _has_more(decompressor: Any) -> bool:
    return not decompressor.eof and not getattr(decompressor, "needs_input", True)


_OUT: Final[dict[str, Callable[[], Compressor]]] = {
    "zstd": _Zstd,
    "lz4": _Lz4,
    "gzip": lambda: _Zlib(31),
    "deflate": lambda: _Zlib(15),
}
_IN: Final[dict[str, Callable[[], Any]]] = {
    "zstd": zstd.ZstdDecompressor,
    "lz4": lz4.frame.LZ4FrameDecompressor,
    "gzip": lambda: zlib.decompressobj(31),
    "deflate": lambda: zlib.decompressobj(15),
}


def chosen(accepted: str) -> str:
    """The first encoding of an ``Accept-Encoding`` that is one of ours; empty for none."""
    names = [part.partition(";")[0].strip() for part in accepted.lower().split(",")]
    return next((name for name in names if name in _OUT), "")


def compressor(name: str) -> Compressor:
    """A compressor; of the empty name one that changes nothing."""
    return _OUT[name]() if name else _Plain()


def decompressor(name: str) -> Decompressor:
    """A decompressor for a ``Content-Encoding``. Raises :class:`EngineError` for one that is not spoken here."""
    if name in {"", "identity"}:
        return _Plain()
    if name not in _IN:
        raise unknown(name)
    return _Safe(name, _IN[name])


def unknown(name: str) -> EngineError:
    """The error of an encoding that is not spoken here."""
    return engine_error(48, f"Content-Encoding {name} is not spoken here: {', '.join(_IN)}", "NOT_IMPLEMENTED")
