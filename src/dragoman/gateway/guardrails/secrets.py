"""Patterns of credentials: the shapes that issuers give their keys, and strings that look drawn by lot. Pure.

The last catches what has no known shape: a long run of letters and digits of both kinds whose entropy is that of chance.
Identifiers in UUID form and plain hexadecimal hashes are not taken for secrets, words and paths neither.
"""

from __future__ import annotations

import math
import re
from collections import Counter

from dragoman.gateway.guardrails.spans import Pattern

_REACH = 64
_LEAST_BITS = 4.2
"""Bits a character; English text has about 4 in all its letters, a random base64 string of 40 characters about 4.8."""


def _looks_random(text: str) -> int:
    """By the beginning alone, so that the end of a long one need not be waited for."""
    head = text[:_REACH]
    kinds = sum(bool(re.search(kind, head)) for kind in ("[a-z]", "[A-Z]", "[0-9]"))
    if kinds < 3 or re.fullmatch("[0-9a-fA-F-]+", head):
        return 0
    bits = -sum(n / len(head) * math.log2(n / len(head)) for n in Counter(head).values())
    return len(text) if bits >= _LEAST_BITS else 0


def _pattern(kind: str, regex: str, *needs: str, reach: int = _REACH) -> Pattern:
    return Pattern(kind, re.compile(regex, re.VERBOSE), reach, needs=needs)


_BEGIN = r"(?<![A-Za-z0-9_-])"

SECRETS = {
    pattern.kind: pattern
    for pattern in (
        _pattern(
            "private_key",
            r"""-----BEGIN\ (?:[A-Z0-9]+\ )*PRIVATE\ KEY(?:\ BLOCK)?-----
            (?:(?!-----END)[A-Za-z0-9+/=\s:,-])* (?:-----END[A-Z0-9\ ]*-----)?""",
            "PRIVATE KEY",
            reach=96,
        ),
        _pattern("openai_key", _BEGIN + r"sk-(?!ant-) [A-Za-z0-9_-]{20,}", "sk-"),
        _pattern("anthropic_key", _BEGIN + r"sk-ant- [A-Za-z0-9_-]{20,}", "sk-ant-"),
        _pattern(
            "aws_key", r"(?<![A-Za-z0-9]) (?:AKIA|ASIA|ABIA|ACCA) [A-Z0-9]{16} (?![A-Za-z0-9])", "AKIA", "ASIA", "ABIA", "ACCA"
        ),
        _pattern("google_key", _BEGIN + r"AIza [A-Za-z0-9_-]{35}", "AIza"),
        _pattern("github_token", _BEGIN + r"(?: gh[pousr]_ [A-Za-z0-9]{36,} | github_pat_ [A-Za-z0-9_]{22,} )", "gh"),
        _pattern("gitlab_token", _BEGIN + r"glpat- [A-Za-z0-9_-]{20,}", "glpat-"),
        _pattern("slack_token", _BEGIN + r"xox[abeoprs]- [A-Za-z0-9-]{10,}", "xox"),
        _pattern("stripe_key", _BEGIN + r"[rs]k_(?:live|test)_ [A-Za-z0-9]{16,}", "k_live_", "k_test_"),
        _pattern("huggingface_token", _BEGIN + r"hf_ [A-Za-z0-9]{30,}", "hf_"),
        _pattern("jwt", _BEGIN + r"eyJ [A-Za-z0-9_-]{16,} (?: \. [A-Za-z0-9_-]+ ){0,2}", "eyJ"),
        _pattern(
            "password_in_url",
            r"(?<![A-Za-z0-9+.-]) [a-z][a-z0-9+.-]{1,16} :// [^\s/:@]{1,32} : [^\s/@]{1,64} @",
            "://",
            reach=128,
        ),
    )
}

RANDOM = Pattern("secret", re.compile(r"(?<![A-Za-z0-9_+/.-])[A-Za-z0-9_+/-]{24,}={0,2}"), _REACH, _looks_random)
