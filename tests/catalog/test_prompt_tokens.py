"""Tokens of a whole prompt: framing, pictures, calls, tools; and cutting a conversation down to a limit."""

from __future__ import annotations

import struct
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.catalog.tokens import count_messages, count_tools, image_size, image_tokens, trim
from dragoman.core.errors import BadRequestError


def words(text: str) -> int:
    """A counter that can be checked by eye: a token is a word."""
    return len(text.split())


def said(role: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


PNG = "data:image/png;base64," + b64encode(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 640, 480)).decode()


@pytest.mark.parametrize(
    ("messages", "tokens"),
    [
        ([], 3),
        ([said("user", "one two")], 3 + 3 + 1 + 2),
        ([said("user", "one", name="Ada Lovelace")], 3 + 3 + 1 + (1 + 2) + 1),
        ([said("user", [{"type": "text", "text": "one two"}, {"type": "text", "text": "three"}])], 3 + 3 + 1 + 3),
        ([said("assistant", None)], 3 + 3 + 1),
        ([said("assistant", None, tool_calls=[{"function": {"name": "f", "arguments": '{"a": 1}'}}])], 3 + 3 + 1 + (3 + 2)),
        ([said("user", [{"type": "image_url", "image_url": {"url": PNG}}])], 3 + 3 + 1 + 85 + 170 * 2),
        ([said("user", [{"type": "image_url", "image_url": {"url": PNG, "detail": "low"}}])], 3 + 3 + 1 + 85),
        ([said("user", [{"type": "image_url", "image_url": "https://example.org/x.png"}])], 3 + 3 + 1 + 85 + 170 * 4),
        ([said("tool", [{"type": "tool_result", "content": [{"type": "text", "text": "one two"}]}])], 3 + 3 + 1 + 2),
    ],
)
def test_tokens_of_messages(messages: list[dict[str, Any]], tokens: int) -> None:
    assert count_messages(messages, words) == tokens


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        (["hello"], r"messages\[0\]: expected a dict, found string"),
        ([said("user", 3)], r"messages\[0\]\.content: expected text or a list of parts, found integer"),
        ([said("user", "x"), said("user", [4])], r"messages\[1\]\.content\[0\]: expected a part, found integer"),
    ],
)
def test_what_is_no_message_is_named(messages: list[Any], message: str) -> None:
    with pytest.raises(BadRequestError, match=message):
        count_messages(messages, words)


def test_tokens_of_tools() -> None:
    tool = {
        "type": "function",
        "function": {"name": "weather", "description": "of a place", "parameters": {"type": "object", "required": ["place"]}},
    }
    assert count_tools([], words) == 0
    assert count_tools([tool], words) == 9 + len(
        "name: weather description: of a place parameters: type: object required: place".split()
    )


@pytest.mark.parametrize(
    ("size", "tiles"),
    [((1, 1), 1), ((512, 512), 1), ((513, 512), 2), ((1024, 1024), 4), ((2048, 4096), 6), ((4096, 8192), 6), ((10_000, 10), 4)],
)
def test_tiles_of_a_picture(size: tuple[int, int], tiles: int) -> None:
    assert image_tokens(size) == 85 + 170 * tiles


GIF = b64encode(b"GIF89a" + struct.pack("<HH", 30, 20)).decode()
JPEG = b64encode(
    b"\xff\xd8" + b"\xff\xe0" + struct.pack(">H", 6) + b"JFIF" + b"\xff\xc0" + struct.pack(">HBHH", 11, 8, 300, 400) + b"\3" * 9
).decode()


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (PNG, (640, 480)),
        (GIF, (30, 20)),
        (JPEG, (400, 300)),
        ("https://example.org/a.png", None),
        ("data:image/png;base64,!!!", None),
        ("", None),
        (b64encode(b"\xff\xd8").decode(), None),
        (b64encode(b"\x89PNG").decode(), None),
    ],
)
def test_the_size_of_a_picture_is_read_from_its_first_bytes(data: str, size: tuple[int, int] | None) -> None:
    assert image_size(data) == size


@given(st.binary(max_size=64), st.sampled_from([b"", b"\x89PNG", b"GIF8", b"\xff\xd8\xff\xc0", b"\xff\xd8\xff\xe0"]))
def test_no_picture_is_too_broken_to_be_looked_at(data: bytes, head: bytes) -> None:
    size = image_size(b64encode(head + data).decode())
    assert size is None or (size[0] > 0 and size[1] > 0)


SYSTEM = said("system", "be kind")
CALL = said("assistant", None, tool_calls=[{"id": "1", "function": {"name": "f", "arguments": "{}"}}])
RESULT = said("tool", "sunny today", tool_call_id="1")


def test_what_fits_stays_as_it_is() -> None:
    messages = [SYSTEM, said("user", "hello")]
    assert trim(messages, 1000, words) == messages


def test_the_oldest_goes_first_and_the_system_message_stays() -> None:
    messages = [SYSTEM, said("user", "a " * 50), said("assistant", "b"), said("user", "c")]
    assert trim(messages, 30, words) == [SYSTEM, messages[2], messages[3]]


def test_a_tools_answer_goes_with_its_call() -> None:
    messages = [SYSTEM, CALL, RESULT, said("user", "thanks")]
    whole = count_messages(messages, words)
    assert trim(messages, whole, words) == messages
    assert trim(messages, whole - 1, words) == [SYSTEM, said("user", "thanks")]


def test_a_last_message_that_is_too_long_loses_its_middle() -> None:
    (kept,) = trim([said("user", " ".join(map(str, range(1000))))], 40, words)
    assert count_messages([kept], words) <= 40
    assert kept["content"].startswith("0 1 2 ")
    assert kept["content"].endswith(" 998 999")


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([said("system", "a " * 50), said("user", "x")], "the system messages alone"),
        ([said("user", [{"type": "text", "text": "a " * 50}])], "no plain text that could be cut"),
        ([SYSTEM, said("user", "a " * 50)], "not even the beginning"),
    ],
)
def test_what_cannot_be_made_to_fit(messages: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(BadRequestError, match=message):
        trim(messages, 13, words)


@given(
    st.lists(st.builds(said, st.sampled_from(["user", "assistant", "tool"]), st.text("ab ", max_size=40))), st.integers(12, 80)
)
def test_what_is_kept_fits_and_is_the_end(messages: list[dict[str, Any]], limit: int) -> None:
    try:
        kept = trim(messages, limit, words)
    except BadRequestError:
        return
    assert count_messages(kept, words) <= max(limit, 3)
    assert [message["content"] for message in kept][1:] == [message["content"] for message in messages][
        len(messages) - len(kept) + 1 :
    ]
