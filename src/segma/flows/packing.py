"""Packed bytes: states of those who are away, deflated against a dictionary of what all states have in common."""

from __future__ import annotations

import zlib
from typing import Final

_AS_IS, _DEFLATED = b"\0", b"\1"
_RAW: Final = -zlib.MAX_WBITS
"""Without zlib's head and checksum: the changelog has its own."""

_DICTIONARY: Final = (
    b'"items":[{"sku":"","quantity":1,"price":"value":"currency":"EUR","brand":"","tags":["","term":"","progress":'
    b'"selector":"","text":"","title":"","referrer":"https://www.google.com/","url":"https://www.'
    b'"trust":"server""stitched":true,"provisional":true,"verdict":"confirmed:quarantine""confirmed:landed"'
    b"mouse_pressedkey_pressedshortcut_pressedletter_typedcontent_copiedcontent_pastedhoveredbottom_reachedscrolled_past"
    b"audio_playedvideo_playedpdf_viewedfield_unfocusedfield_focusedform_filledform_submittedfile_downloadedlogged_out"
    b"logged_inpage_clickedpage_closedpage_loadedbutton_clickedsearchedemail_deliveredemail_openedsimilar_product_bought"
    b"product_boughtproduct_addedemail_clickedpage_viewed"
    b"\xa6origins\xa5spent\xa7from_ms\xa7matches\xa7revoked\xa9purchases\xa4gone\xa5floor\xc0\xaaoverflowed\x00"
    b"\xa6schema\x01\xa4told\x01"
    b'\xaasubscriber\xd9"s_\xa9standings\x90\xa8together\x91\xa4runs\x91\x93\xc4\x01'
    b"\xa6schema\x01\xa5prior\xc0\xa7session\x96\xd9 "
    b'\xa7entries\x93\x96\xc5\x01{"type":"event","workspace":"","subscriber":"s_","event_id":"","action":"page_viewed",'
    b'"occurred_at_ms":17,"order":1,"properties":{"campaign":"spring","category":"","path":"/products/"},"trust":"token",'
    b'"site":"shop","device":"","received_at_ms":17,"log_time_ms":17,"partition":1,"offset":1,"schema":1}'
    b"\xa8clock_ms\xc0\xa4tail\x90\xa9newest_ms\xcf\x00\x00\x01\x83\xa8timeline\xc5\xa6states\x94\xc4"
)
"""Never to be changed: what was packed with it must be unpacked for ever. A better one gets a marker of its own."""


def plain(data: bytes) -> bytes:
    """Bytes marked as what they are."""
    return _AS_IS + data


def packed(marked: bytes) -> bytes:
    """Marked bytes, deflated where that makes them less."""
    if marked[:1] != _AS_IS:
        return marked
    deflate = zlib.compressobj(1, zlib.DEFLATED, _RAW, 8, zlib.Z_DEFAULT_STRATEGY, _DICTIONARY)
    less = _DEFLATED + deflate.compress(memoryview(marked)[1:]) + deflate.flush()
    return less if len(less) < len(marked) else marked


def unpacked(marked: bytes) -> bytes:
    """The bytes. Raises ``ValueError`` where they are marked in a way that this release does not know."""
    if marked[:1] == _AS_IS:
        return marked[1:]
    if marked[:1] != _DEFLATED:
        raise ValueError(f"bytes packed in an unknown way: {marked[:1]!r}")
    inflate = zlib.decompressobj(_RAW, _DICTIONARY)
    return inflate.decompress(memoryview(marked)[1:]) + inflate.flush()
