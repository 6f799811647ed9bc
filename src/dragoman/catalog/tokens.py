"""How many tokens a prompt has: texts, chat messages with pictures and calls, tool definitions.

Texts are counted by OpenAI's tokenizer where the `tokens` extra is installed, else estimated. What is wrapped around them is
the same arithmetic either way: framing of a message, tiles of a picture, the schema of a tool. Messages are dicts in OpenAI's
shape. An estimate of a prompt; what a call really took is in its usage.
"""

from __future__ import annotations

import struct
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Callable, Iterable
from itertools import pairwise
from math import ceil
from typing import Any

from dragoman.catalog import tokenizer
from dragoman.catalog.estimate import estimate
from dragoman.core import json
from dragoman.core.errors import BadRequestError

Count = Callable[[str], int]

PER_MESSAGE, PER_NAME, PER_ANSWER, PER_TOOLS = 3, 1, 3, 9
"""Framing: https://developers.openai.com/cookbook/examples/how_to_count_tokens_with_tiktoken; `PER_ANSWER` opens the answer."""

IMAGE_BASE, IMAGE_TILE = 85, 170
"""A picture, and each of its tiles of 512 pixels: https://platform.openai.com/docs/guides/images-vision"""
DEFAULT_IMAGE_TILES = 4
"""For pictures whose size cannot be seen (a URL): 1024 by 1024."""


def text_counter(model: str = "") -> Count:
    """What counts the tokens of a text for `model`."""
    if not tokenizer.available():
        return estimate
    encoding = tokenizer.encoding(tokenizer.encoding_name(model))
    return lambda text: len(encoding.encode_ordinary(text))


def count_messages(messages: Iterable[dict[str, Any]], count: Count) -> int:
    """Tokens of a whole prompt of chat messages. Raises BadRequestError for what is no message."""
    return PER_ANSWER + sum(count_message(message, index, count) for index, message in enumerate(messages))


def count_message(message: dict[str, Any], index: int, count: Count) -> int:
    """Tokens of one message with its framing."""
    if not isinstance(message, dict):
        raise BadRequestError(f"messages[{index}]: expected a dict, found {json.kind(message)}")
    total = PER_MESSAGE + count(str(message.get("role") or ""))
    if message.get("name"):
        total += PER_NAME + count(str(message["name"]))
    total += _content(message.get("content"), f"messages[{index}].content", count)
    for call in message.get("tool_calls") or ():
        function = call.get("function") or {}
        total += PER_MESSAGE + count(f"{function.get('name') or ''}{function.get('arguments') or ''}")
    call = message.get("function_call")
    return total + (count(f"{call.get('name')}{call.get('arguments')}") if call else 0)


def count_tools(tools: Iterable[dict[str, Any]], count: Count) -> int:
    """Tokens of tool definitions: their JSON without the punctuation that models are not shown."""
    definitions = [tool.get("function", tool) for tool in tools]
    if not definitions:
        return 0
    return PER_TOOLS + sum(count(" ".join(_words(definition))) for definition in definitions)


def _words(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield f"{key}:"
            yield from _words(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _words(item)
    elif value is not None:
        yield str(value)


def _content(content: Any, path: str, count: Count) -> int:
    if content is None:
        return 0
    if isinstance(content, str):
        return count(content)
    if not isinstance(content, list | tuple):
        raise BadRequestError(f"{path}: expected text or a list of parts, found {json.kind(content)}")
    return sum(_part(part, f"{path}[{index}]", count) for index, part in enumerate(content))


def _part(part: Any, path: str, count: Count) -> int:
    if isinstance(part, str):
        return count(part)
    if not isinstance(part, dict):
        raise BadRequestError(f"{path}: expected a part, found {json.kind(part)}")
    if part.get("type") in {"image_url", "input_image", "image"}:
        return _image_part(part)
    held = part.get("text") or part.get("thinking") or part.get("refusal") or part.get("content")
    return _content(held, path, count)


def _image_part(part: dict[str, Any]) -> int:
    held = part.get("image_url") or part.get("source") or {}
    if isinstance(held, str):
        held = {"url": held}
    data = str(held.get("url") or held.get("data") or "")
    return image_tokens(image_size(data), held.get("detail") or part.get("detail"))


def image_tokens(size: tuple[int, int] | None, detail: str | None = None) -> int:
    """Tokens of a picture of `size` pixels (None: not known).

    By OpenAI's rule: scaled down to fit 2048 by 2048, then to 768 for its shorter side, then cut into tiles of 512.
    """
    if detail == "low":
        return IMAGE_BASE
    if size is None:
        return IMAGE_BASE + IMAGE_TILE * DEFAULT_IMAGE_TILES
    width, height = size
    scale = min(1.0, 2048 / max(width, height))
    scale *= min(1.0, 768 / (min(width, height) * scale))
    return IMAGE_BASE + IMAGE_TILE * ceil(width * scale / 512) * ceil(height * scale / 512)


def image_size(data: str) -> tuple[int, int] | None:
    """Width and height in pixels of a PNG, GIF or JPEG given as base64 text or a data URL; None where they cannot be seen."""
    head, comma, rest = data.partition(",")
    if not comma and data.startswith(("http:", "https:")):
        return None
    try:
        raw = b64decode((rest if comma and head.startswith("data:") else data)[:65_536].rstrip("=")[: 65_536 // 4 * 4] + "===")
    except (NotBase64, ValueError):
        return None
    if raw.startswith(b"\x89PNG") and len(raw) >= 24:
        size: tuple[int, int] = struct.unpack(">II", raw[16:24])
    elif raw.startswith(b"GIF8") and len(raw) >= 10:
        size = struct.unpack("<HH", raw[6:10])
    else:
        size = _jpeg_size(raw) if raw.startswith(b"\xff\xd8") else (0, 0)
    return size if all(size) else None


def _jpeg_size(raw: bytes) -> tuple[int, int]:
    """From the first start-of-frame marker (ITU T.81, B.2.2)."""
    place = 2
    while place + 9 < len(raw) and raw[place] == 0xFF:
        marker, length = raw[place + 1], int.from_bytes(raw[place + 2 : place + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            height, width = struct.unpack(">HH", raw[place + 5 : place + 9])
            return width, height
        place += 2 + length
    return 0, 0


def trim(messages: list[dict[str, Any]], limit: int, count: Count) -> list[dict[str, Any]]:
    """The newest messages that fit into `limit` tokens, with every system message.

    A tool's answer stays with the call it answers, or goes with it. Where not even the last message fits, its text is cut in
    the middle. Raises BadRequestError when the system messages alone are too much.
    """
    if count_messages(messages, count) <= limit:
        return list(messages)
    system = [message for message in messages if message.get("role") in {"system", "developer"}]
    left = limit - count_messages(system, count)
    if left <= 0:
        raise BadRequestError(f"the system messages alone have more than the {limit} tokens that were allowed")
    groups = _turns([message for message in messages if message not in system])
    kept: list[dict[str, Any]] = []
    for group in reversed(groups):
        size = sum(count_message(message, 0, count) for message in group)
        if size > left:
            break
        left -= size
        kept = [*group, *kept]
    if not kept and groups:
        kept = [_shortened(groups[-1][-1], left, count)]
    return [*system, *kept]


def _turns(messages: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Messages that belong together: a message, and the tool answers that follow it."""
    starts = [index for index, message in enumerate(messages) if message.get("role") not in {"tool", "function"} or index == 0]
    return [messages[begin:end] for begin, end in pairwise([*starts, len(messages)])]


_GAP = "..."


def _shortened(message: dict[str, Any], limit: int, count: Count) -> dict[str, Any]:
    """The message with the middle of its text left out, so long as the rest fits: found by halving."""
    text = message.get("content")
    if not isinstance(text, str):
        raise BadRequestError("the last message does not fit and is no plain text that could be cut")
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if count_message({**message, "content": _cut(text, middle)}, 0, count) <= limit:
            low = middle
        else:
            high = middle - 1
    if not low:
        raise BadRequestError(f"not even the beginning of the last message fits into {limit} tokens")
    return {**message, "content": _cut(text, low)}


def _cut(text: str, keep: int) -> str:
    if keep >= len(text):
        return text
    return text[: (keep + 1) // 2] + _GAP + text[len(text) - keep // 2 :]
