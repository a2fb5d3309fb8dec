"""The content encodings of ClickHouse's HTTP interface (lz4, zstd, gzip, deflate), and its own framing of blocks."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

import lz4.block
import lz4.frame
from backports import zstd
from clickhouse_cityhash.cityhash import CityHash128

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

    def finish(self) -> None:
        """The data are over. Raises :class:`EngineError` where they end too early."""


class Plain:
    """Changes nothing."""

    def compress(self, data: bytes) -> bytes:
        """Return it."""
        return data

    def finish(self) -> bytes:
        """Return nothing more."""
        return b""


class _PlainReader:
    def pieces(self, data: bytes) -> Iterator[bytes]:
        yield data

    def finish(self) -> None:
        return


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
        self._begun = False

    def finish(self) -> None:
        if self._begun and not self._current.eof:
            raise engine_error(271, f"The body ends before its {self._name} data do", "CANNOT_DECOMPRESS")

    def pieces(self, data: bytes) -> Iterator[bytes]:
        self._begun = self._begun or bool(data)
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
    return _OUT[name]() if name else Plain()


def decompressor(name: str) -> Decompressor:
    """A decompressor for a ``Content-Encoding``. Raises :class:`EngineError` for one that is not spoken here."""
    if name in {"", "identity"}:
        return _PlainReader()
    if name not in _IN:
        raise unknown(name)
    return _Safe(name, _IN[name])


def unknown(name: str) -> EngineError:
    """The error of an encoding that is not spoken here."""
    return engine_error(48, f"Content-Encoding {name} is not spoken here: {', '.join(_IN)}", "NOT_IMPLEMENTED")


class Framer:
    """ClickHouse's own framing (``compress=1``): checksummed blocks of LZ4."""

    def compress(self, data: bytes) -> bytes:
        """Frame some bytes."""
        whole = memoryview(data)
        return b"".join(part for at in range(0, len(data), PIECE) for part in _frame(whole[at : at + PIECE]))

    def finish(self) -> bytes:
        """Nothing more."""
        return b""


class Unframer:
    """The way back (``decompress=1``): LZ4, ZSTD and blocks that are not compressed."""

    def __init__(self) -> None:
        self._held = bytearray()

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Yield what whole frames hold. Raises :class:`EngineError` (271; 40 for a wrong checksum)."""
        self._held += data
        at = 0
        while len(self._held) - at >= CHECKSUM_BYTES + HEAD_BYTES:
            size = int.from_bytes(self._held[at + 17 : at + 21], "little")
            if not HEAD_BYTES <= size <= MOST_FRAMED:
                raise _broken("a frame's size is impossible")
            if len(self._held) - at < CHECKSUM_BYTES + size:
                break
            yield _unframed(bytes(self._held[at : at + CHECKSUM_BYTES + size]))
            at += CHECKSUM_BYTES + size
        del self._held[:at]

    def finish(self) -> None:
        """The data are over. Raises :class:`EngineError` where they end within a frame."""
        if self._held:
            raise _broken("the data end within a frame")


CHECKSUM_BYTES: Final = 16
HEAD_BYTES: Final = 9
MOST_FRAMED: Final = 128 * 1024 * 1024
_LZ4, _ZSTD, _NONE = 0x82, 0x90, 0x02


def _frame(data: memoryview) -> tuple[bytes, bytes]:
    packed = lz4.block.compress(data, store_size=False)
    body = struct.pack("<BII", _LZ4, HEAD_BYTES + len(packed), len(data)) + packed
    return _checksum(body), body


def _unframed(frame: bytes) -> bytes:
    checksum, body = frame[:CHECKSUM_BYTES], frame[CHECKSUM_BYTES:]
    if _checksum(body) != checksum:
        raise engine_error(40, "Checksum doesn't match: corrupted data", "CHECKSUM_DOESNT_MATCH")
    method, _, size = struct.unpack_from("<BII", body)
    packed = body[HEAD_BYTES:]
    if size > MOST_FRAMED:
        raise _broken("a frame's size is impossible")
    try:
        data = b""
        if method == _LZ4:
            data = bytes(lz4.block.decompress(packed, uncompressed_size=size))
        elif method == _ZSTD:
            data = bytes(zstd.ZstdDecompressor().decompress(packed, size + 1))
        elif method == _NONE:
            data = packed
        else:
            raise _broken(f"method 0x{method:02x} is not spoken here")
    except (lz4.block.LZ4BlockError, zstd.ZstdError, ValueError) as error:
        raise _broken(str(error)) from None
    if len(data) != size:
        raise _broken("a frame holds another size than it says")
    return data


def _checksum(body: bytes) -> bytes:
    """CityHash128 of version 1.0.2: other releases of it give other values."""
    value = int(CityHash128(body))
    return struct.pack("<QQ", value >> 64, value & (1 << 64) - 1)


def _broken(why: str) -> EngineError:
    return engine_error(271, f"The body is not in ClickHouse's compressed format: {why}", "CANNOT_DECOMPRESS")
