"""What the dialects of pictures and sound share: reading requests out of JSON or a form, writing forms, sizes, losses, usage.

Pure helpers with no wire format of their own. A field has the type that `core.media` gives it; in a form, where everything is
text, numbers and flags are read as such. Called by the media dialects only.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple, NoReturn
from urllib.parse import quote

import msgspec

from dragoman.core import json, multipart
from dragoman.core.chat import Extra, Usage, Warning
from dragoman.core.errors import BadRequestError, ErrorDetail, ResponseDecodeError, UnsupportedParamsError, error_for
from dragoman.core.media import MediaFile
from dragoman.core.multipart import FormPart
from dragoman.dialects import openai_errors
from dragoman.dialects.base import EncodedRequest

Body = dict[str, Any]
JSON = "application/json"


class MediaDialect:
    """What the upstream halves have in common. Their answers come whole; where both sides speak OpenAI, streams are relayed."""

    name = ""
    decode_error = staticmethod(openai_errors.decode_error)

    def headers(self) -> tuple[tuple[str, str], ...]:
        return ()

    def stream_decoder(self) -> NoReturn:
        raise UnsupportedParamsError(f"stream: {self.name} answers whole; leave stream out")


# -------------------------------------------------------------------------------------------------------------- requests
class Given(NamedTuple):
    """A program's request before it is looked at: fields without nulls, and the files of a form by the name of their part."""

    fields: Body
    files: dict[str, list[MediaFile]]
    form: bool


def read_request(body: bytes, content_type: str) -> Given:
    """Raises BadRequestError where it is neither JSON nor a form."""
    if content_type.split(";", 1)[0].strip().lower() == JSON:
        return Given(_object(body), {}, form=False)
    try:
        parts = multipart.decode(body, multipart.boundary_of(content_type))
        return Given(_fields(part for part in parts if part.filename is None), _files(parts), form=True)
    except multipart.MultipartError as problem:
        raise BadRequestError(f"the body cannot be read: {problem}", attempts=0) from None


def _object(body: bytes) -> Body:
    try:
        given = json.decode(body)
    except (json.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise BadRequestError(f"the body is no JSON: {problem}", attempts=0) from None
    if not isinstance(given, dict):
        raise bad("the body", f"expected an object, found {json.kind(given)}")
    return {key: value for key, value in given.items() if value is not None}


def _fields(parts: Iterable[FormPart]) -> Body:
    """`name[]`, and a name that comes more than once, are lists."""
    found: dict[str, list[str]] = {}
    for part in parts:
        found.setdefault(part.name, []).append(part.text)
    return {
        name.removesuffix("[]"): values if name.endswith("[]") or len(values) > 1 else values[0]
        for name, values in found.items()
    }


def _files(parts: Iterable[FormPart]) -> dict[str, list[MediaFile]]:
    found: dict[str, list[MediaFile]] = {}
    for part in parts:
        if part.filename is not None:
            file = MediaFile(data=part.data, name=part.filename or None, media_type=part.media_type)
            found.setdefault(part.name.removesuffix("[]"), []).append(file)
    return found


def known_fields(given: Given, kind: Any, *, beside: Iterable[str] = ()) -> tuple[Body, Body]:
    """The fields that `kind` has, of the types it has them in, and the rest. `beside` are read by the caller himself."""
    types = _types(kind)
    known, left = {}, {}
    for key, value in given.fields.items():
        if key in beside:
            continue
        if key in types:
            known[key] = _converted(key, value, types[key], form=given.form)
        else:
            left[key] = value
    return known, left


@cache
def _types(kind: Any) -> Mapping[str, Any]:
    return {field.name: field.type for field in msgspec.structs.fields(kind) if field.name != "extra"}


def _converted(key: str, value: Any, kind: Any, *, form: bool) -> Any:
    if form and isinstance(value, str) and kind == tuple[str, ...]:
        value = [value]
    try:
        return msgspec.convert(value, kind, strict=not form)
    except msgspec.ValidationError as problem:
        raise bad(key, str(problem)) from None


def bad(path: str, problem: str) -> BadRequestError:
    message = f"{path}: {problem}"
    return BadRequestError(message, detail=ErrorDetail(message=message, param=path), attempts=0)


def required(fields: Body, key: str) -> None:
    if not fields.get(key):
        raise bad(key, "expected a string that is not empty, found nothing")


def only_files(given: Given, *names: str) -> None:
    """Refuse parts that look like files and are none of `names`."""
    for name in given.files.keys() - set(names):
        raise bad(name, f"a file under a name that is not known here; files are: {', '.join(names)}")


def said(request: Any, names: Iterable[str]) -> Body:
    """The fields of a request that hold something. A model that is not named ("") is the provider's default."""
    found = {name: value for name in names if (value := getattr(request, name)) not in (None, ())}
    return found if found.get("model", True) else {name: value for name, value in found.items() if name != "model"}


def native(extra: Extra, names: Iterable[str]) -> Body:
    """The maker's own fields of these `names` (a seed, steps) that a client of whichever dialect has set."""
    return {key: fields[key] for key in names for fields in extra.values() if key in fields}


def unsaid(request: Any, able: Iterable[str], dialect: str, *, own: Iterable[str] = ()) -> tuple[Warning, ...]:
    """What a request holds and a dialect that is only `able` of these fields cannot say; of extra fields it knows its `own`.

    A `stream` is no loss: the answer comes whole and whoever asked gets it in one event.
    """
    quiet = {*able, "model", "extra", "stream", "stream_format", "partial_images"}
    kind: Any = type(request)
    lost = [name for name in _types(kind) if name not in quiet and getattr(request, name) not in (None, ())]
    return tuple(Warning(field=name, message=f"{dialect} has no such field; it was left out") for name in lost) + _foreign(
        request.extra, dialect, frozenset(own)
    )


def _foreign(extra: Extra, name: str, own: frozenset[str]) -> tuple[Warning, ...]:
    return tuple(
        Warning(field=f"extra.{dialect}.{key}", message=f"only {dialect} knows it; it was left out")
        for dialect, fields in extra.items()
        if dialect != name
        for key in fields
        if key not in own
    )


def one_only(request: Any, dialect: str) -> tuple[Warning, ...]:
    """For makers that give one image a request."""
    if not request.n or request.n == 1:
        return ()
    return (Warning(field="n", message=f"{dialect} gives one image a request; ask again for more", code="changed"),)


def form(fields: Body, files: Sequence[tuple[str, MediaFile]], *, warnings: tuple[Warning, ...] = ()) -> EncodedRequest:
    """A form: the fields, then the files, which must hold their bytes. Lists of fields are written as `name[]`."""
    parts = [FormPart(name=name, data=text.encode()) for key, value in fields.items() for name, text in _texts(key, value)]
    parts += [
        FormPart(name=name, data=file.data or b"", filename=file.name or "file", media_type=file.media_type)
        for name, file in files
    ]
    for name, file in files:
        media_type(file, name)
    boundary = multipart.free_boundary(parts)
    return EncodedRequest(multipart.encode(parts, boundary), warnings, multipart.content_type(boundary))


def _texts(key: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, list | tuple):
        return [(f"{key}[]", _text(item)) for item in value]
    return [(key, _text(value))]


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.encode(value).decode()


def media_type(file: MediaFile, field: str) -> str:
    """The media type of a file as a header may hold it, "" where it is not known."""
    named = file.media_type or ""
    if not (named.isascii() and named.isprintable()):
        raise bad(field, f"expected a media type such as audio/wav, found {named[:60]!r}")
    return named


def in_path(model: str) -> str:
    """A model's name as a piece of a path, which it must not leave."""
    if any(piece in {"", ".", ".."} for piece in model.split("/")):
        raise bad("model", f"expected a name, found {model[:80]!r}")
    return quote(model, safe="/:@")


def with_bytes(file: MediaFile, field: str, dialect: str) -> MediaFile:
    """The file, if it is here; a dialect that sends bytes cannot fetch what stands behind an address."""
    if file.data is None:
        raise bad(field, f"{dialect} sends the bytes of files, and this is an address; read it and pass the bytes")
    return file


# ---------------------------------------------------------------------------------------------------------------- sizes
_SIZE = re.compile(r"([1-9]\d{0,4})x([1-9]\d{0,4})")


def pixels(size: str | None) -> tuple[int, int] | None:
    """Width and height of "1024x768"; None for auto or nothing. Raises BadRequestError for anything else."""
    if size is None or size == "auto":
        return None
    match = _SIZE.fullmatch(size)
    if match is None:
        raise bad("size", f'expected "WIDTHxHEIGHT" in pixels or "auto", found {size!r}')
    return int(match[1]), int(match[2])


def nearest_ratio(size: str | None, offered: Iterable[str]) -> tuple[str | None, tuple[Warning, ...]]:
    """The ratio ("16:9") nearest to a size among those offered, with a Warning where it is not quite the same, for makers of
    images that take a shape and no pixels. None for auto or nothing.
    """
    wanted = pixels(size)
    if wanted is None:
        return None, ()
    shape = math.log(wanted[0] / wanted[1])
    distance, ratio = min((abs(shape - math.log(_quotient(ratio))), ratio) for ratio in offered)
    if distance < 0.01:
        return ratio, ()
    message = f"only shapes can be asked for here; of those the nearest was sent: {ratio}"
    return ratio, (Warning(field="size", message=message, code="changed"),)


def _quotient(ratio: str) -> float:
    width, height = ratio.split(":")
    return int(width) / int(height)


# -------------------------------------------------------------------------------------------------------------- answers
def read_answer(body: bytes) -> Body:
    """A JSON object. Raises ResponseDecodeError, or what an error inside a 200 stands for."""
    try:
        value = json.decode(body)
    except (json.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise ResponseDecodeError(f"the answer is no JSON: {problem}") from None
    if not isinstance(value, dict):
        raise ResponseDecodeError(f"the answer is no object but {json.kind(value)}")
    if value.get("error"):
        status = openai_errors.embedded_status(value)
        raise error_for(status, openai_errors.read_error(status, value))
    return value


def refused(message: str) -> Exception:
    """The error for what a provider's filter kept back, which some report inside a 200."""
    return error_for(400, ErrorDetail(message=message, code="content_policy_violation"))


def text_or_none(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def number_or_none(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def objects(value: Any) -> list[Body]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def left_over(given: Body, known: Iterable[str], dialect: str) -> Extra:
    """What an answer holds beyond the `known` keys, as `extra`; nulls say nothing."""
    left = {key: value for key, value in given.items() if key not in known and value is not None}
    return {dialect: left} if left else {}


_INPUT = ("input_tokens", "prompt_tokens")
_OUTPUT = ("output_tokens", "completion_tokens")
_INPUT_DETAILS = ("input_tokens_details", "input_token_details", "prompt_tokens_details")
_OUTPUT_DETAILS = ("output_tokens_details", "output_token_details", "completion_tokens_details")
_AS_GIVEN = "_given"


def read_usage(given: Any, dialect: str) -> Usage | None:
    """Tokens by either of their names; what else is counted (seconds, cost) stays in `extra`. `_given` is how it came."""
    if not isinstance(given, dict):
        return None
    inputs, outputs = _first_object(given, _INPUT_DETAILS), _first_object(given, _OUTPUT_DETAILS)
    known = {*_INPUT, *_OUTPUT, *_INPUT_DETAILS, *_OUTPUT_DETAILS, "total_tokens"}
    left = {key: value for key, value in given.items() if key not in known and value is not None}
    return Usage(
        input_tokens=_count(given, *_INPUT),
        output_tokens=_count(given, *_OUTPUT),
        cache_read_tokens=_count(inputs, "cached_tokens"),
        input_image_tokens=_count(inputs, "image_tokens"),
        output_image_tokens=_count(outputs, "image_tokens"),
        input_audio_tokens=_count(inputs, "audio_tokens"),
        output_audio_tokens=_count(outputs, "audio_tokens"),
        extra={dialect: {**left, _AS_GIVEN: given}},
    )


def write_usage(usage: Usage, dialect: str) -> Body:
    """As it came where this dialect read it; else tokens in OpenAI's words."""
    given: Body | None = usage.extra.get(dialect, {}).get(_AS_GIVEN)
    if given is not None:
        return given
    counts: Body = {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
    counts["total_tokens"] = usage.total_tokens
    details = {"image_tokens": usage.input_image_tokens, "audio_tokens": usage.input_audio_tokens}
    held = {key: count for key, count in details.items() if count}
    if held:
        counts["input_tokens_details"] = {"text_tokens": usage.input_tokens - sum(held.values()), **held}
    return counts


def _first_object(given: Body, names: tuple[str, ...]) -> Body:
    return next((value for name in names if isinstance(value := given.get(name), dict)), {})


def _count(given: Body, *names: str) -> int:
    return next((value for name in names if type(value := given.get(name)) is int and value > 0), 0)
