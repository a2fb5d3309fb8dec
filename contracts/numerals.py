"""Numbers and times as people's programs write them in scripts of their own, put into ASCII."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from contracts.tokens import INVISIBLE

_SIGNS: Final = str.maketrans({"\u066b": ".", "\u2212": "-", "\u060d": "/", **{chr(sign): None for sign in INVISIBLE}})
"""The Arabic decimal separator, the sign of minus, the Arabic date separator, and signs that show nothing."""
_GROUPED: Final = re.compile("(?<=[0-9])\u066c(?=[0-9]{3})")
"""The Arabic thousands separator: unlike a comma it is never anything else."""


def in_ascii(text: str) -> str:
    """A number or time with ASCII's digits and signs, whatever script it was written in.

    >>> in_ascii("۱۴۰۲/۱۲/۱۴"), in_ascii("１２．５"), in_ascii("٢٬٥٠٠٫٧٥")
    ('1402/12/14', '12.5', '2500.75')
    """
    if text.isascii():
        return text
    plain = unicodedata.normalize("NFKC", text).translate(_SIGNS)
    return _GROUPED.sub("", "".join(_digit(sign) for sign in plain))


def _digit(sign: str) -> str:
    value = unicodedata.decimal(sign, None)
    return sign if value is None else str(value)
