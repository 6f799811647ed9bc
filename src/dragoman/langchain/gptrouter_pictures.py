"""Messages with pictures, judged from this process: asked in OpenAI's form of decisions, as System One's state is text.

Questions and answers go through the engine's own words, so that there is one reading and one writing of each form: `asked` is
what `dragoman.decision` takes, `answered` what came of it in System One's form again. Called by `gptrouter_decisions`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import BaseMessage

from dragoman.core import json
from dragoman.core.errors import BadRequestError
from dragoman.core.operations import DecisionRequest
from dragoman.dialects.openai_chat import DIALECT as CHAT
from dragoman.dialects.openai_decisions import DIALECT as OPENAI
from dragoman.dialects.systemone import DIALECT as SYSTEM_ONE
from dragoman.dialects.systemone_questions import read_question
from dragoman.langchain.blocks import Item, is_media, items
from dragoman.langchain.messages import to_openai


def has_media(state: Any) -> bool:
    """Whether it is messages, all of it, and something in them is no text."""
    if not isinstance(state, Sequence) or not all(isinstance(one, BaseMessage) for one in state):
        return False
    return any(map(is_media, _items(state)))


def asked(messages: Sequence[BaseMessage], questions: Mapping[str, Any]) -> dict[str, Any]:
    """`input` and a list of questions, which come in GPTRouter's form. What cannot be said so is a warning of Python's, as
    LangChain's answers have no place to tell of it. Raises BadRequestError, for sound as well.
    """
    other = next((item["type"] for item in _items(messages) if is_media(item) and item["type"] != "image_url"), None)
    if other is not None:
        raise BadRequestError(f"state: a decision is made about text and pictures; it holds {other}")
    said = CHAT.decode_request(json.encode({"model": "", "messages": to_openai(messages)}))
    read = tuple(read_question(value, name, f"questions.{name}") for name, value in questions.items())
    encoded = OPENAI.encode_request(DecisionRequest(model="", questions=read, messages=said.messages))
    for lost in encoded.warnings:
        if lost.code == "dropped":
            warnings.warn(f"{lost.field}: {lost.message}", stacklevel=2)
    body: Any = encoded.body
    return {"input": body["input"], "questions": body["questions"]}


def answered(found: Mapping[str, Any]) -> dict[str, Any]:
    """Raises ResponseDecodeError."""
    told: dict[str, Any] = json.decode(SYSTEM_ONE.encode_response(OPENAI.decode_response(json.encode(found)), now=0))
    return told


def _items(messages: Sequence[BaseMessage]) -> list[Item]:
    written = (items(message.content) for message in messages)
    return [item for content in written if isinstance(content, list) for item in content]
