"""Landlock: the kernel's own walls around this process and all it starts. Linux 5.13 and later; no root is needed.

Applied before ``import chdb``: the import starts threads, and a thread keeps what it had when it was started.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446
_NO_NEW_PRIVILEGES = 38
_VERSION_FLAG = 1
_PATH_BENEATH, _NET_PORT = 1, 2
_EXECUTE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 2, 1 << 3
_BIND, _CONNECT = 1 << 0, 1 << 1
_OF_A_FILE = _EXECUTE | (1 << 1) | _READ_FILE | (1 << 14) | (1 << 15)
"""Rights that a rule on a file, and not a folder, may give."""

READ: Final = _EXECUTE | _READ_FILE | _READ_DIR
FILES_BY_ABI: Final = (0, (1 << 13) - 1, (1 << 14) - 1, (1 << 15) - 1, (1 << 15) - 1, (1 << 16) - 1)
"""The file system rights that each version of the interface knows; 5 and later know the same."""
NET_ABI: Final = 4

_libc = ctypes.CDLL(None, use_errno=True)


def abi() -> int:
    """Return the version of Landlock that the kernel offers; 0 where it offers none."""
    return max(0, int(_libc.syscall(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION_FLAG))))


def restrict(read: Iterable[Path], write: Iterable[Path], bind: Iterable[int]) -> int:
    """Leave this process the given folders and ports, and nothing else of files and TCP.

    Args:
        read: folders and files that may be read and executed; those that are not there are left out.
        write: folders with every right.
        bind: TCP ports that may be listened on. Nothing may be connected to (from ABI 4 on).

    Returns:
        The ABI that was applied; 0 where the kernel has none, and nothing is held back.

    Raises:
        OSError: the kernel refused.
    """
    version = abi()
    if not version:
        return 0
    files = FILES_BY_ABI[min(version, 5)]
    net = _BIND | _CONNECT if version >= NET_ABI else 0
    handled = struct.pack("QQ", files, net)[: 16 if net else 8]
    rules = _checked(_libc.syscall(_CREATE, handled, ctypes.c_size_t(len(handled)), ctypes.c_uint32(0)))
    try:
        for path in read:
            _allow(rules, path, READ & files)
        for path in write:
            _allow(rules, path, files)
        for port in bind if net else ():
            _add(rules, _NET_PORT, struct.pack("QQ", _BIND, port))
        _checked(_libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0))
        _checked(_libc.syscall(_RESTRICT, ctypes.c_int(rules), ctypes.c_uint32(0)))
    finally:
        os.close(rules)
    return version


def _allow(rules: int, path: Path, rights: int) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        _add(rules, _PATH_BENEATH, struct.pack("=Qi", rights if path.is_dir() else rights & _OF_A_FILE, handle))
    finally:
        os.close(handle)


def _add(rules: int, kind: int, rule: bytes) -> None:
    _checked(_libc.syscall(_ADD_RULE, ctypes.c_int(rules), ctypes.c_int(kind), rule, ctypes.c_uint32(0)))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"Landlock: {os.strerror(number)}")
    return result
