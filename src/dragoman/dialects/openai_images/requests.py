"""Requests for images, in JSON or as a form: read into an ImageRequest and written from one. Called by the three dialects.

Fields that OpenAI does not know stay under `extra["openai_images"]` and are written back. Which values a model takes is the
provider's business.
"""

from __future__ import annotations

from base64 import b64decode
from typing import Any

from dragoman.core.media import ImageRequest, MediaFile
from dragoman.dialects import media_wire as wire
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.media_wire import JSON, Body, Given

NAME = "openai_images"

_COMMON = ("model", "prompt", "n", "size", "quality", "response_format", "background", "output_format", "output_compression")
_STREAM = ("user", "stream", "partial_images")
_GENERATION = (*_COMMON, "style", "moderation", *_STREAM)
_EDIT = (*_COMMON, "input_fidelity", *_STREAM)
_VARIATION = ("model", "n", "size", "response_format", "user")


def read_generation(body: bytes, content_type: str = JSON) -> ImageRequest:
    """Raises BadRequestError that names the field, what was found and what is expected there."""
    given = wire.read_request(body, content_type)
    wire.only_files(given)
    fields, left = wire.known_fields(given, ImageRequest)
    wire.required(fields, "prompt")
    return _request(fields, left)


def read_edit(body: bytes, content_type: str = JSON) -> ImageRequest:
    """As `read_generation`; the images are those of the form, or in JSON `images`: [{image_url | file_id}]."""
    given = wire.read_request(body, content_type)
    wire.only_files(given, "image", "mask")
    fields, left = wire.known_fields(given, ImageRequest, beside=("images", "mask"))
    wire.required(fields, "prompt")
    images = tuple(given.files.get("image", ())) or _addressed(given)
    if not images:
        raise wire.bad("image", "expected at least one image, found none")
    masks = given.files.get("mask", ())
    mask = masks[0] if masks else _reference("mask", given.fields["mask"]) if "mask" in given.fields else None
    return _request({**fields, "images": images, "mask": mask}, left)


def read_variation(body: bytes, content_type: str = JSON) -> ImageRequest:
    given = wire.read_request(body, content_type)
    wire.only_files(given, "image")
    images = tuple(given.files.get("image", ()))
    if len(images) != 1:
        raise wire.bad("image", f"expected one image as a file of the form, found {len(images)}")
    fields, left = wire.known_fields(given, ImageRequest)
    return _request({**fields, "images": images}, left)


def _request(fields: Body, left: Body) -> ImageRequest:
    return ImageRequest(**{"model": "", **fields}, extra={NAME: left} if left else {})


def _addressed(given: Given) -> tuple[MediaFile, ...]:
    images = given.fields.get("images", [])
    if not isinstance(images, list):
        raise wire.bad("images", "expected an array of objects with image_url or file_id")
    return tuple(_reference(f"images[{place}]", image) for place, image in enumerate(images))


def _reference(path: str, value: Any) -> MediaFile:
    url, file_id = (value.get("image_url"), value.get("file_id")) if isinstance(value, dict) else (None, None)
    if isinstance(url, dict):
        url = url.get("url")
    if isinstance(url, str) and url:
        return _here(path, url) or MediaFile(url=url)
    if isinstance(file_id, str) and file_id:
        return MediaFile(file_id=file_id)
    raise wire.bad(path, "expected an object with image_url or file_id")


def _here(path: str, url: str) -> MediaFile | None:
    """What a data: URL brings with it, since some providers want the bytes; None for an address."""
    head, encoded, data = url.partition(";base64,")
    if not (encoded and head.startswith("data:")):
        return None
    try:
        return MediaFile(data=b64decode(data, validate=True), media_type=head.removeprefix("data:") or None)
    except ValueError:
        raise wire.bad(path, "expected base64 behind `;base64,`") from None


# -------------------------------------------------------------------------------------------------------------- writing
def encode_generation(request: ImageRequest) -> EncodedRequest:
    return EncodedRequest(_fields(request, _GENERATION), wire.unsaid(request, _GENERATION, NAME))


def encode_edit(request: ImageRequest) -> EncodedRequest:
    """A form; JSON where an image stands at an address, because a form can only hold bytes."""
    fields, lost = _fields(request, _EDIT), wire.unsaid(request, (*_EDIT, "images", "mask"), NAME)
    files = (*request.images, *([request.mask] if request.mask else []))
    if any(file.data is None for file in files):
        fields["images"] = [_write_reference(image) for image in request.images]
        if request.mask:
            fields["mask"] = _write_reference(request.mask)
        return EncodedRequest(fields, lost)
    name = "image" if len(request.images) == 1 else "image[]"
    named = [(name, image) for image in request.images] + ([("mask", request.mask)] if request.mask else [])
    return wire.form(fields, named, warnings=lost)


def encode_variation(request: ImageRequest) -> EncodedRequest:
    if len(request.images) != 1:
        raise wire.bad("image", f"expected one image, found {len(request.images)}")
    image = wire.with_bytes(request.images[0], "image", "openai_image_variations")
    lost = wire.unsaid(request, (*_VARIATION, "images"), NAME)
    return wire.form(_fields(request, _VARIATION), [("image", image)], warnings=lost)


def _fields(request: ImageRequest, names: tuple[str, ...]) -> Body:
    return wire.said(request, names) | request.extra.get(NAME, {})


def _write_reference(file: MediaFile) -> Body:
    return {"file_id": file.file_id} if file.file_id else {"image_url": file.address()}
