"""How many tokens a text has, about, without a tokenizer: the base install's answer, calibrated against o200k_base.

The text is cut where that tokenizer cuts it (words, numbers by three digits, punctuation, blanks) and each piece is charged by
its script: a word is one token up to some length, and a share of one for each letter beyond. The shares were fitted on
running text of 30 languages; tests/catalog/test_token_estimates.py holds the error for each script. A provider's own usage
is always better, and so is `tokenizer`, where its packages are installed.
"""

from __future__ import annotations

import re
from collections import Counter

WORDS = {
    "arabic": ("\u0600-\u06ff\u0750-\u077f\u200c\ufb50-\ufdff\ufe70-\ufefe", 1, 0.22),
    "cyrillic": ("\u0400-\u052f", 1, 0.22),
    "greek": ("\u0370-\u03ff\u1f00-\u1fff", 0, 0.26),
    "hebrew": ("\u0590-\u05ff", 1, 0.32),
    "indic": ("\u0900-\u0dff", 3, 0.50),
    "thai": ("\u0e00-\u0eff", 4, 0.50),
    "caucasian": ("\u0530-\u058f\u10a0-\u10ff", 0, 0.22),
    "hangul": ("\u1100-\u11ff\u3130-\u318f\uac00-\ud7ff", 0, 0.48),
    "kana": ("\u3040-\u30ff\u31f0-\u31ff", 0, 0.42),
    "han": ("\u2e80-\u2fdf\u3400-\u9fff\uf900-\ufaff", 1, 0.80),
}
"""Script -> (its characters, letters in a word's first token, tokens for each letter beyond)."""

_LOWER, _UPPER = "a-z\u00df-\u00f6\u00f8-\u00ff\u0101-\u024f\u1e00-\u1eff\u0300-\u036f", "A-Z\u00c0-\u00d6\u00d8-\u00de"
_PIECES = re.compile(
    rf"(?P<latin>[{_UPPER}]?[{_LOWER}]+)|(?P<capitals>[{_UPPER}]+)|(?P<digits>[0-9]+)|(?P<lines>\s*[\r\n]+)"
    r"|(?P<blanks>[ \t]{2,})|(?P<gap> (?=[0-9]))"
    r"|(?P<mark> ?[!-/:-@\[-`{-~](?=[^\W\d_]))|(?P<marks>[!-/:-@\[-`{-~]+)|(?P<joined>[\u200d\ufe0f\U0001f3fb-\U0001f3ff])"
    r"|(?P<emoji>[\u2600-\u27bf\U0001f000-\U0001faff])|(?P<symbols>[\u2000-\u2bff\u3000-\u303f\uff00-\uffef])|"
    + "|".join(f"(?P<{name}>[{characters}]+)" for name, (characters, _, _) in WORDS.items())
    + r"|(?P<other>[^\s])"
)
_LATIN_FREE, _LATIN_SHARE = 5, 0.14
_MOST_FOREIGN, _FOREIGN_SHARE, _FOREIGN_FREE = 0.063, 0.19, 2.5
"""Latin letters with marks, as a share of all, from which a text counts as wholly foreign; what that adds and takes away."""

_PER_PIECE = {"lines": 0.6, "blanks": 0.4, "gap": 1.0, "mark": 0.03, "joined": 1.0, "emoji": 1.7, "symbols": 1.0, "other": 1.3}


def estimate(text: str) -> int:
    """Tokens of `text`, as o200k_base would count them, about."""
    counts: Counter[tuple[str, int]] = Counter()
    for piece in _PIECES.finditer(text):
        counts[piece.lastgroup or "", piece.end() - piece.start()] += 1
    foreign = _foreign(text)
    return round(sum(number * _tokens(kind, length, foreign) for (kind, length), number in counts.items()))


def _foreign(text: str) -> float:
    """0 for English, 1 for a language whose Latin letters often carry marks."""
    letters = len(_LETTER.findall(text))
    marked = len(_MARKED.findall(text))
    return min(1.0, marked / letters / _MOST_FOREIGN) if letters else 0.0


_LETTER = re.compile("[A-Za-z\u00c0-\u024f\u1e00-\u1eff]")
_MARKED = re.compile("[\u00c0-\u024f\u1e00-\u1eff]")


def _tokens(kind: str, length: int, foreign: float) -> float:
    if kind == "latin":
        free = _LATIN_FREE - _FOREIGN_FREE * foreign
        return 1 + max(0.0, length - free) * (_LATIN_SHARE + _FOREIGN_SHARE * foreign)
    if kind == "capitals":
        return 1 + max(0, length - 3) * 0.3
    if kind == "digits":
        return (length + 2) // 3
    if kind == "marks":
        return 1 + (length - 1) * 0.12
    if kind in WORDS:
        _, free, share = WORDS[kind]
        return 1 + max(0, length - free) * share
    return _PER_PIECE[kind]
