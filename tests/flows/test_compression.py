"""Packed bytes come back as they were, also those of the first release."""

from __future__ import annotations

import hashlib
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.state import compression as packing
from flows.state.compression import packed, plain, unpacked

STATE = b'{"type":"event","workspace":"demo","subscriber":"s_1","event_id":"e1","action":"page_viewed"}' * 3


@given(st.binary(max_size=3_000))
def test_whatever_is_packed_comes_back(data: bytes) -> None:
    assert unpacked(plain(data)) == data
    assert unpacked(packed(plain(data))) == data
    assert packed(packed(plain(data))) == packed(plain(data))


def test_a_state_takes_a_fraction_and_noise_no_more_than_it_is() -> None:
    assert len(packed(plain(STATE))) < len(STATE) / 4
    noise = b"".join(hashlib.sha256(bytes([number])).digest() for number in range(30))
    assert len(packed(plain(noise))) == len(noise) + 1


@pytest.mark.parametrize("data", [b"", b"s_1", STATE[:70], STATE, packing._SHAPES[700:1_900] + STATE])
def test_a_small_window_finds_all_that_the_largest_finds(data: bytes) -> None:
    largest = zlib.compressobj(packing._LEVEL, zlib.DEFLATED, packing._RAW, 8, 0, packing._SHAPES)
    whole = b"\2" + largest.compress(data) + largest.flush()
    assert packed(plain(data)) == min(plain(data), whole, key=len)


def test_an_unknown_mark_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown way"):
        unpacked(b"\x07abc")


@pytest.mark.parametrize(
    ("dictionary", "digest", "data"),
    [
        (
            packing._WORDS,
            "499f53532fae325a442de8ed9b3d440e704fb3be99bda07e7f24672656f4640b",
            "01c31bbac0c4930f72376a081b028590823815c4c71ac8b500",
        ),
        (
            packing._SHAPES,
            "abd83302981284c66fc1d25c53db7838e8641c71aa28094afbe292ac44df993f",
            "02c31b18c06a2c1f33b518a2269754435c09a61600",
        ),
    ],
)
def test_the_dictionaries_never_change_and_bytes_of_every_release_unpack(
    dictionary: bytes, digest: str, data: str
) -> None:
    assert hashlib.sha256(dictionary).hexdigest() == digest
    assert unpacked(bytes.fromhex(data)) == STATE[:93]
