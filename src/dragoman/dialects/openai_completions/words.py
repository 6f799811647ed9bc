"""What the halves of the dialect share: its name, what goes to `extra`, and log probabilities in their old form.

A text completion is a ChatRequest with one message of the user, so that whoever can chat can answer it; what no chat can say
(several prompts, token lists, `suffix`, `echo`, `best_of`) stays in `extra` under this dialect's name.
"""

from __future__ import annotations

from typing import Any

from dragoman.core.chat import Extra, Logprobs, TokenLogprob
from dragoman.dialects.openai_chat.wire import read_tokens

NAME = "openai_completions"
WHO = "text completion models"
Body = dict[str, Any]

PLAIN = (
    "temperature",
    "top_p",
    "n",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "max_tokens",
    "top_k",
    "user",
)
"""Parameters that are written as they are, when they are not None."""


def extra(fields: Body) -> Extra:
    return {NAME: fields} if fields else {}


def text_of(value: Any) -> str:
    return value if type(value) is str else ""


# ------------------------------------------------------------------------------------------------------ log probabilities
def read_logprobs(value: Any) -> Logprobs | None:
    """`{tokens, token_logprobs, top_logprobs, text_offset}`, or the form of chats. It is kept as it came, too."""
    tokens = read_pieces(value)
    return None if tokens is None else Logprobs(content=tokens, extra={NAME: {"_native": value}})


def read_pieces(value: Any) -> tuple[TokenLogprob, ...] | None:
    """The tokens that have a probability: the first of an echoed prompt has none."""
    if type(value) is not dict:
        return None
    if "content" in value:
        return read_tokens(value["content"])
    tokens, chances = value.get("tokens"), value.get("token_logprobs")
    if type(tokens) is not list or type(chances) is not list:
        return None
    others = value.get("top_logprobs") or []
    return tuple(
        TokenLogprob(token=str(token), logprob=chance, top_logprobs=_others(others[place] if place < len(others) else None))
        for place, (token, chance) in enumerate(zip(tokens, chances, strict=False))
        if type(chance) in (int, float)
    )


def _others(value: Any) -> tuple[TokenLogprob, ...]:
    held = value.items() if type(value) is dict else ()
    return tuple(TokenLogprob(token=token, logprob=chance) for token, chance in held if type(chance) in (int, float))


def write_logprobs(held: Logprobs | None) -> Body | None:
    if held is None or held.content is None:
        return None
    native: Body | None = held.extra.get(NAME, {}).get("_native")
    return write_pieces(held.content, 0) if native is None else native


def write_pieces(tokens: tuple[TokenLogprob, ...], before: int) -> Body:
    """`before`: characters of text that came before these tokens."""
    offsets = []
    for token in tokens:
        offsets.append(before)
        before += len(token.token)
    return {
        "tokens": [token.token for token in tokens],
        "token_logprobs": [token.logprob for token in tokens],
        "top_logprobs": [{other.token: other.logprob for other in token.top_logprobs} for token in tokens],
        "text_offset": offsets,
    }
