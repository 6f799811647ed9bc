"""Heuristics of prompt injection: phrases that try to take a model's instructions away from those who gave them. Pure.

They look at what users and tools say, not at the system's own words, and know English, German, French and Spanish. Each sign
has a weight; a text whose signs weigh as much as the threshold is suspicious. A heuristic: it misses what is worded anew.
"""

from __future__ import annotations

import re
import unicodedata

_SIGNS = tuple(
    (weight, re.compile(pattern, re.IGNORECASE | re.VERBOSE))
    for weight, pattern in (
        (
            1.0,
            r"""\b (?:ignore|disregard|forget|override|bypass) \W+ (?:\w+\W+){0,4}?
            (?: (?:previous|prior|above|earlier|preceding|system|original|initial|your) \W+ (?:\w+\W+){0,2}?
            (?:instructions?|prompts?|rules|directions?|guidelines|context|messages?) )""",
        ),
        (1.0, r"\b (?:vergiss|ignoriere|missachte) \W+ (?:\w+\W+){0,4}? (?:anweisung|regeln|vorgaben|instruktion|prompt)"),
        (1.0, r"\b (?:ignore[zr]?|oublie[zr]?) \W+ (?:\w+\W+){0,4}? (?:instructions|consignes|règles)"),
        (1.0, r"\b (?:ignora|olvida) (?:r|d)? \W+ (?:\w+\W+){0,4}? (?:instrucciones|reglas|indicaciones)"),
        (
            0.8,
            r"""\b (?:reveal|show|print|repeat|output|tell\ me|leak|expose) \W+ (?:\w+\W+){0,4}?
            (?:system|hidden|initial|secret|developer) \W+ (?:prompt|instructions?|message)""",
        ),
        (
            0.6,
            r"""\b (?:you\ are\ now|from\ now\ on,?\ you|act\ as|pretend\ (?:to\ be|you\ are)) \b .{0,60} \b (?:unrestricted
            |unfiltered|jailbroken|(?:no|without)\ (?:rules|restrictions|limits|filters))""",
        ),
        (0.6, r"\b (?:DAN|developer|god|jailbreak|sudo) \ mode \b"),
        (0.6, r"(?:^|\n) \s* (?:\[|<\|?|\#{2,}\ ?) \s* (?:system|assistant|im_start|inst|instructions?) \s* (?:\]|\|?>|:|\n)"),
        (0.4, r"\b (?:do\ not|don't|never) \W+ (?:tell|inform|mention|alert) \W+ (?:\w+\W+){0,2}? (?:user|anyone|human)"),
        (0.4, r"\b new \W+ (?:system\W+)? (?:instructions?|rules|prompt) \s* :"),
    )
)
_INVISIBLE = 0.6
"""The weight of characters that nobody sees: tags, and letters of no width in between."""


def weight(text: str) -> float:
    """How suspicious a text is: 0 for not at all, 1 for one clear sign."""
    plain = unicodedata.normalize("NFKC", text)
    seen = "".join(letter for letter in plain if unicodedata.category(letter) != "Cf")
    hidden = sum(1 for letter in plain if "\U000e0000" <= letter <= "\U000e007f" or letter in "\u200b\u2060\u2062\u2063")
    return sum(sign for sign, pattern in _SIGNS if pattern.search(seen)) + (_INVISIBLE if hidden > 3 else 0.0)
