"""Answers with images, whole or as events: what the three dialects of OpenAI's image endpoints have in common.

A subclass names its endpoint and `kind`, how its events are called ("image_edit" for image_edit.completed), and reads and
writes requests. Images pass through as they came, base64 or an address.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import msgspec
from msgspec import Struct

from dragoman.core import json
from dragoman.core.chat import Usage
from dragoman.core.errors import ResponseDecodeError
from dragoman.core.json import Envelope
from dragoman.core.media import GeneratedImage, ImageRequest, ImageResponse
from dragoman.dialects import media_stream, openai_errors
from dragoman.dialects import media_wire as wire
from dragoman.dialects.media_wire import JSON, Body
from dragoman.dialects.openai_images.requests import NAME

_ANSWER = {"created", "data", "usage"}
_IMAGE = {"b64_json", "url", "revised_prompt"}
_SETTINGS = ("background", "output_format", "quality", "size")


class _UsageOnly(Struct):
    usage: dict[str, Any] | None = None


_read_usage_only = msgspec.json.Decoder(_UsageOnly).decode


class OpenAIImageAnswers(wire.MediaDialect):
    """The verbs of `base.Dialect` but those for requests."""

    endpoint: ClassVar[str]
    kind: ClassVar[str]
    encode_error = staticmethod(openai_errors.encode_error)
    encode_stream_error = staticmethod(openai_errors.encode_stream_error)

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - the verb's signature; one path for all
        return self.endpoint

    def decode_response(self, body: bytes) -> ImageResponse:
        """Raises ResponseDecodeError naming the path, or what an error inside a 200 stands for."""
        return _from_events(body) if media_stream.is_stream(body) else read_response(wire.read_answer(body))

    def encode_response(self, response: ImageResponse, *, now: int) -> bytes:
        body: Body = {"created": now if response.created is None else response.created}
        body["data"] = [_item(image) for image in response.images]
        if response.usage is not None:
            body["usage"] = wire.write_usage(response.usage, NAME)
        return json.encode(body | response.extra.get(NAME, {}))

    def encode_answer(self, response: ImageResponse, request: ImageRequest, *, now: int) -> tuple[bytes, str]:
        """The body for a client and its media type: JSON, or where it asked for a stream, an event for each image."""
        if not request.stream:
            return self.encode_response(response, now=now), JSON
        return media_stream.write_events([self._event(image, response, now) for image in response.images]), (
            media_stream.EVENT_STREAM
        )

    def _event(self, image: GeneratedImage, response: ImageResponse, now: int) -> Body:
        settings = response.extra.get(NAME, {})
        event: Body = {"type": f"{self.kind}.completed"} | _item(image)
        event["created_at"] = now if response.created is None else response.created
        event |= {key: settings[key] for key in _SETTINGS if key in settings}
        return event | ({"usage": wire.write_usage(response.usage, NAME)} if response.usage else {})

    def edit_request(self, envelope: Envelope, *, model: str, want_usage: bool) -> Envelope:  # noqa: ARG002 - it always comes
        return {**envelope, "model": json.raw_text(model)}

    def relay_filter(self, envelope: Envelope) -> Callable[[bytes], bytes] | None:  # noqa: ARG002 - the verb's signature
        return None

    def read_usage(self, body: bytes) -> Usage | None:
        """Skips the images without making objects of them."""
        try:
            return wire.read_usage(_read_usage_only(body).usage, NAME)
        except (json.DecodeError, UnicodeDecodeError):
            return None

    def stream_tap(self) -> media_stream.MediaTap:
        return media_stream.MediaTap(NAME)


def read_response(value: Body) -> ImageResponse:
    """The object as OpenAI and those who do as it does have it."""
    if not isinstance(value.get("data"), list):
        raise ResponseDecodeError("the answer is no object with an array `data`")
    media_type = _media_type(value.get("output_format"))
    created = value.get("created")
    return ImageResponse(
        images=tuple(_read_image(f"data[{place}]", item, media_type) for place, item in enumerate(value["data"])),
        created=created if type(created) is int else None,
        usage=wire.read_usage(value.get("usage"), NAME),
        extra=wire.left_over(value, _ANSWER, NAME),
    )


def _read_image(path: str, item: Any, media_type: str | None) -> GeneratedImage:
    if not isinstance(item, dict):
        raise ResponseDecodeError(f"{path} is no object but {json.kind(item)}")
    data, url = wire.text_or_none(item.get("b64_json")), wire.text_or_none(item.get("url"))
    if data is None and url is None:
        raise ResponseDecodeError(f"{path} has neither b64_json nor url")
    return GeneratedImage(
        data=data,
        url=url,
        media_type=wire.text_or_none(item.get("mime_type")) or media_type,
        revised_prompt=wire.text_or_none(item.get("revised_prompt")),
        extra=wire.left_over(item, _IMAGE, NAME),
    )


def _media_type(output_format: Any) -> str | None:
    return f"image/{output_format}" if isinstance(output_format, str) and output_format else None


def _item(image: GeneratedImage) -> Body:
    named = {"b64_json": image.data, "url": image.url, "revised_prompt": image.revised_prompt}
    return {key: value for key, value in named.items() if value is not None} | image.extra.get(NAME, {})


def _from_events(body: bytes) -> ImageResponse:
    """The finished images of a stream; the unfinished ones say nothing that those do not."""
    ended = [event for event in media_stream.read_events(body) if media_stream.is_end(event)]
    last = ended[-1]
    data = [{key: event[key] for key in _IMAGE if key in event} for event in ended]
    settings = {key: last[key] for key in (*_SETTINGS, "usage") if key in last}
    return read_response({"created": last.get("created_at"), "data": data, **settings})
