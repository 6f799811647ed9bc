"""Patterns of personal data, each with the check that its numbers have: Luhn for cards, modulo 97 for IBANs. Pure.

They find what has a shape. Names, addresses and birthdays have none: for those ask a model, or a service over `http`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

from dragoman.gateway.guardrails.spans import Pattern

_IBAN_LENGTHS = {
    country: int(length)
    for country, length in re.findall(
        r"([A-Z]{2})(\d\d)",
        "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BR29BY28CH21CR22CY28CZ24DE22DK18DO28EE20EG29ES24FI18FO18FR27GB22GE22GI23GL18GR27"
        "GT28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21MC27MD24ME22MK19MR27MT31MU30NL18NO15PK24PL28PS29"
        "PT25QA29RO24RS22SA24SC31SE24SI19SK24SM27ST25SV28TN24TR26UA29VA22VG24XK20",
    )
}
"""Characters of an account number, by country (the IBAN registry of ISO 13616)."""


def _luhn(text: str) -> int:
    digits = [int(letter) for letter in text if letter.isdigit()]
    doubled = (2 * digit - 9 * (digit > 4) for digit in digits[-2::-2])
    return len(text) if len(set(digits)) > 1 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0 else 0


def _iban(text: str) -> int:
    """How much of the text is the account number: its country says how long one is."""
    length, seen = _IBAN_LENGTHS.get(text[:2].upper(), 0), 0
    for place, letter in enumerate(text, 1):
        seen += letter != " "
        if seen == length:
            number = text[:place].replace(" ", "")
            ends = place == len(text) or not text[place].isalnum()
            return place if ends and int("".join(str(int(x, 36)) for x in number[4:] + number[:4])) % 97 == 1 else 0
    return 0


def _address(text: str) -> int:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return 0
    return len(text)


_DIGITS = tuple("0123456789")


def _pattern(
    kind: str, regex: str, reach: int, measure: Callable[[str], int] = len, needs: tuple[str, ...] = _DIGITS
) -> Pattern:
    return Pattern(kind, re.compile(regex, re.VERBOSE), reach, measure, needs)


PII = {
    pattern.kind: pattern
    for pattern in (
        _pattern(
            "email", r"(?<![\w.+%-]) [\w.+%-]{1,64} @ (?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+ [^\W\d_]{2,24}", 136, needs=("@",)
        ),
        _pattern(
            "card",
            r"""(?<![\d.-]) (?: \d{4} ([\ .-]) \d{4} \1 \d{4} \1 \d{4} | 3[47]\d\d ([\ .-]) \d{6} \2 \d{5} | [2-6]\d{12,18} )
            (?! [.-]?\d)""",
            40,
            _luhn,
        ),
        _pattern("iban", r"(?<![A-Za-z0-9]) [A-Za-z]{2} \d{2} (?:\ ?[A-Za-z0-9]){10,30}", 80, _iban),
        _pattern("ssn", r"(?<![\d-]) (?!000|666|9) \d{3} ([-\ ]) (?!00) \d\d \1 (?!0000) \d{4} (?! -?\d)", 16),
        _pattern(
            "phone",
            r"""(?<![\w+]) (?: \+ \d{1,3} (?:[\ .-]? (?: \( \d{1,4} \) | \d{1,4} )){2,5} (?! \d)
            | (?: \( \d{3} \) \ ? | \d{3} [-.\ ]) \d{3} [-.\ ] \d{4} (?! [-.]?\d) )""",
            48,
        ),
        _pattern("ip", r"(?<![\w.:]) (?:\d{1,3}\.){3} \d{1,3} (?! \.?\d | \w)", 24, _address),
        _pattern("ip6", r"(?<![\w.:]) (?: [0-9A-Fa-f]{0,4} : ){2,7} [0-9A-Fa-f]{0,4} (?! [\w:])", 48, _address, (":",)),
    )
}
