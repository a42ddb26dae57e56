"""団体コード: the six-digit code of a local government, with its check digit.

Source: 総務省「全国地方公共団体コード」 modulus 11, weights 6 5 4 3 2.
"""

from __future__ import annotations

from kiban.base.errors import RegionError


def check_digit(five: str) -> str:
    """The sixth digit of a 団体コード.

    >>> check_digit("17463")
    '7'
    """
    total = sum(int(digit) * weight for digit, weight in zip(five, (6, 5, 4, 3, 2), strict=True))
    return str((11 - total % 11) % 10) if total >= 11 else str(11 - total)


def normal(code: str, where: str = "団体コード") -> str:
    """Six digits out of five or six, full-width digits included; refuses a wrong check digit.

    >>> normal("17463"), normal("１７４６３７")
    ('174637', '174637')
    """
    digits = code.strip().translate(str.maketrans("０１２３４５６７８９", "0123456789"))
    if not (digits.isascii() and digits.isdigit()) or len(digits) not in (5, 6) or not 1 <= int(digits[:2]) <= 47:
        raise RegionError(where, repr(code), "five or six digits that begin with a prefecture, 01 to 47", "look the code up in the 総務省 table")
    expected = check_digit(digits[:5])
    if len(digits) == 6 and digits[5] != expected:
        raise RegionError(where, repr(code), f"check digit {expected}", f"did you mean {digits[:5]}{expected}?")
    return digits[:5] + expected
