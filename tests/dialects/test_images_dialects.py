"""The image dialects by tables: what is written for a wish, what is lost on the way, what answers mean, what is refused."""

from __future__ import annotations

import base64
import json

import pytest

from dragoman.core import multipart
from dragoman.core.chat import Usage
from dragoman.core.errors import (
    APIStatusError,
    BadRequestError,
    ContentPolicyViolationError,
    ResponseDecodeError,
    UnsupportedParamsError,
)
from dragoman.core.http import HttpResponse
from dragoman.core.json import decode_envelope
from dragoman.core.media import GeneratedImage, ImageRequest, ImageResponse, MediaFile
from dragoman.core.multipart import FormPart
from dragoman.dialects import registry
from dragoman.dialects.base import Poll
from dragoman.dialects.media_wire import nearest_ratio, pixels
from support.media import as_form, as_value

PNG = MediaFile(data=b"\x89PNG", name="a.png", media_type="image/png")
PNG_URL = "data:image/png;base64,iVBORw=="
FAR = MediaFile(url="https://pictures.example/cat.png")
SQUARE = "1024x1024"


def json_body(**fields):
    return json.dumps(fields).encode()


def form_body(*parts):
    return multipart.encode([FormPart(**part) for part in parts], "B"), multipart.content_type("B")


def image(name="image", data=b"x"):
    return {"name": name, "data": data, "filename": "a.png", "media_type": "image/png"}


# --------------------------------------------------------------------------------------------------- what is written
WRITTEN = [
    ("openai_images", {"n": 2, "size": SQUARE, "style": "vivid"}, {"n": 2, "size": SQUARE, "style": "vivid"}, []),
    ("openai_images", {"images": (PNG,)}, {}, ["images"]),
    ("openai_images", {"stream": True, "partial_images": 2}, {"stream": True, "partial_images": 2}, []),
    ("openai_image_edits", {"images": (PNG, FAR), "mask": FAR}, {
        "images": [{"image_url": PNG_URL}, {"image_url": FAR.url}], "mask": {"image_url": FAR.url}}, []),
    ("openai_image_edits", {"images": (MediaFile(file_id="file-1"),)}, {"images": [{"file_id": "file-1"}]}, []),
    ("xai_image_edits", {"images": (PNG,), "size": SQUARE}, {"images": [{"type": "image_url", "url": PNG_URL}]}, ["size"]),
    ("openrouter_images", {"size": SQUARE, "style": "vivid"}, {"size": SQUARE}, ["style"]),
    ("together_images", {"size": "512x768", "response_format": "b64_json"},
     {"width": 512, "height": 768, "response_format": "base64"}, []),
    ("together_images", {"images": (FAR,), "quality": "hd"}, {"image_url": FAR.url}, ["quality"]),
]  # fmt: skip
PLAIN = [
    ("hyperbolic_images", {}, {"model_name": "m", "width": 1024, "height": 1024}, []),
    ("hyperbolic_images", {"n": 2, "size": "64x32"}, {"model_name": "m", "width": 64, "height": 32}, ["n"]),
    ("bfl_images", {"size": "256x512", "output_format": "png"}, {"width": 256, "height": 512, "output_format": "png"}, []),
    ("bfl_images", {"model": "flux-kontext-pro", "size": "1920x1080", "images": (PNG, FAR)},
     {"aspect_ratio": "16:9", "input_image": "iVBORw==", "input_image_2": FAR.url}, []),
    ("bfl_images", {"model": "flux-pro-1.0-fill", "images": (PNG,), "mask": PNG, "n": 3},
     {"image": "iVBORw==", "mask": "iVBORw=="}, ["n"]),
    ("fal_images", {"n": 2, "size": "64x32", "response_format": "b64_json"},
     {"num_images": 2, "image_size": {"width": 64, "height": 32}, "sync_mode": True}, []),
    ("fal_images", {"images": (FAR,), "mask": PNG}, {"image_url": FAR.url, "mask_url": PNG_URL}, []),
    ("fal_images", {"images": (FAR, PNG), "user": "u"}, {"image_urls": [FAR.url, PNG_URL]}, ["user"]),
    ("fireworks_images", {"size": "1000x1000"}, {"aspect_ratio": "1:1"}, []),
]  # fmt: skip
NESTED = [
    ("replicate_images", {"n": 1, "size": "64x32"}, {"input": {"num_outputs": 1, "width": 64, "height": 32}}, []),
    ("replicate_images", {"model": "black-forest-labs/flux-dev", "size": "1000x1010", "images": (FAR,)},
     {"input": {"aspect_ratio": "1:1", "image": FAR.url}}, []),
    ("replicate_images", {"model": "o/n:v1", "quality": "hd"}, {"version": "v1", "input": {}}, ["quality"]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "wish", "written", "lost"), WRITTEN)
def test_what_is_written_with_the_model_in_the_body(name, wish, written, lost):
    body, warnings, content_type = registry.get(name).encode_request(ImageRequest(model="m", prompt="cat", **wish))
    assert (as_value(body), content_type) == ({"model": "m", "prompt": "cat", **written}, "application/json")
    assert [warning.field for warning in warnings] == lost


@pytest.mark.parametrize(("name", "wish", "written", "lost"), PLAIN)
def test_what_is_written_with_the_model_elsewhere(name, wish, written, lost):
    body, warnings, _ = registry.get(name).encode_request(ImageRequest(**{"model": "m", "prompt": "cat", **wish}))
    assert body == {"prompt": "cat", **written}
    assert [warning.field for warning in warnings] == lost


@pytest.mark.parametrize(("name", "wish", "written", "lost"), NESTED)
def test_what_is_written_for_replicate(name, wish, written, lost):
    body, warnings, _ = registry.get(name).encode_request(ImageRequest(**{"model": "m", "prompt": "cat", **wish}))
    assert body == {**written, "input": {"prompt": "cat", **written["input"]}}
    assert [warning.field for warning in warnings] == lost


def test_what_is_written_for_gemini():
    wish = ImageRequest(model="m", prompt="cat", images=(PNG,), size="1600x900", n=2, user="u")
    body, warnings, _ = registry.get("gemini_images").encode_request(wish)
    assert body == {
        "contents": [
            {
                "role": "user",
                "parts": [{"text": "cat"}, {"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}}],
            }
        ],
        "generationConfig": {"responseModalities": ["IMAGE"], "imageConfig": {"aspectRatio": "16:9"}},
    }
    assert [(warning.field, warning.code) for warning in warnings] == [("user", "dropped"), ("n", "changed")]


def test_what_is_written_for_imagen():
    wish = ImageRequest(model="m", prompt="cat", size="900x1600", n=3, extra={"openai_images": {"seed": 7}})
    body, warnings, _ = registry.get("gemini_imagen").encode_request(wish)
    assert body == {
        "instances": [{"prompt": "cat"}],
        "parameters": {"sampleCount": 3, "aspectRatio": "9:16", "seed": 7},
    }
    assert warnings == ()


@pytest.mark.parametrize(
    ("model", "wish", "form"),
    [
        ("core", {"size": SQUARE, "style": "anime"}, {"style_preset": ["anime"], "aspect_ratio": ["1:1"]}),
        ("sd3.5-large", {"output_format": "png"}, {"output_format": ["png"], "model": ["sd3.5-large"]}),
        ("ultra", {"images": (PNG,)}, {
            "mode": ["image-to-image"], "strength": ["0.7"], "image": [(b"\x89PNG", "a.png", "image/png")]}),
    ],
)  # fmt: skip
def test_what_is_written_for_stability(model, wish, form):
    body, warnings, content_type = registry.get("stability_images").encode_request(
        ImageRequest(model=model, prompt="cat", **wish)
    )
    assert as_form(body, content_type) == {"prompt": ["cat"], **form}
    assert warnings == ()


@pytest.mark.parametrize(
    ("images", "names"), [((PNG,), {"image": 1}), ((PNG, PNG), {"image[]": 2})], ids=["one image", "several"]
)
def test_an_edit_is_a_form(images, names):
    wish = ImageRequest(model="m", prompt="cat", images=images, mask=PNG, n=2)
    body, warnings, content_type = registry.get("openai_image_edits").encode_request(wish)
    form = as_form(body, content_type)
    assert (form["prompt"], form["n"], warnings) == (["cat"], ["2"], ())
    assert {name: len(found) for name, found in form.items() if name.startswith("image")} == names
    assert form["mask"] == [(b"\x89PNG", "a.png", "image/png")]
    assert registry.get("openai_image_edits").decode_request(body, content_type) == wish


def test_a_variation_has_no_prompt():
    wish = ImageRequest(model="m", prompt="cat", images=(PNG,), size="256x256")
    body, warnings, content_type = registry.get("openai_image_variations").encode_request(wish)
    assert set(as_form(body, content_type)) == {"model", "size", "image"}
    assert [warning.field for warning in warnings] == ["prompt"]


def test_fields_of_the_maker_are_taken_and_others_are_told():
    wish = ImageRequest(model="m", prompt="cat", extra={"openai_images": {"seed": 1, "colour": "red"}})
    body, warnings, _ = registry.get("fal_images").encode_request(wish)
    assert body == {"prompt": "cat", "seed": 1}
    assert [warning.field for warning in warnings] == ["extra.openai_images.colour"]


@pytest.mark.parametrize(
    ("name", "wish", "message"),
    [
        ("openai_image_variations", {"images": ()}, "expected one image, found 0"),
        ("openai_image_variations", {"images": (FAR,)}, "read it and pass the bytes"),
        ("stability_images", {"images": (FAR,)}, "read it and pass the bytes"),
        ("stability_images", {"images": (PNG, PNG)}, "takes one image, found 2"),
        ("together_images", {"images": (PNG, PNG)}, "takes one image, found 2"),
        ("replicate_images", {"images": (PNG, PNG)}, "takes one image, found 2"),
        ("bfl_images", {"mask": PNG}, "expected one image beside a mask, found 0"),
        ("fal_images", {"size": "big"}, 'size: expected "WIDTHxHEIGHT"'),
    ],
)
def test_wishes_that_cannot_be_said(name, wish, message):
    with pytest.raises(BadRequestError, match=message):
        registry.get(name).encode_request(ImageRequest(model="m", prompt="cat", **wish))


# ----------------------------------------------------------------------------------------------- what programs write
@pytest.mark.parametrize(
    ("name", "body", "message"),
    [
        ("openai_images", (b"{",), "no JSON"),
        ("openai_images", (b"[]",), "expected an object, found array"),
        ("openai_images", (json_body(model="m"),), "prompt: expected a string"),
        ("openai_images", (json_body(prompt=3),), "prompt: Expected `str"),
        ("openai_images", (json_body(prompt="cat", n="2"),), "n: Expected `int"),
        ("openai_images", form_body(image("picture")), "picture: a file under a name"),
        ("openai_images", (b"", "text/plain"), "expected the content-type multipart/form-data"),
        ("openai_image_edits", (json_body(prompt="cat"),), "image: expected at least one image"),
        ("openai_image_edits", (json_body(prompt="cat", images=[{}]),), r"images\[0\]: expected an object with image_url"),
        ("openai_image_edits", (json_body(prompt="cat", images="x"),), "images: expected an array"),
        ("openai_image_edits", form_body(image()), "prompt: expected a string"),
        ("openai_image_edits", form_body(image(), {"name": "prompt", "data": b"cat"}, {"name": "n", "data": b"two"}), "n: "),
        ("openai_image_variations", (json_body(model="m"),), "expected one image as a file"),
        ("openai_image_variations", form_body(image(), image()), "found 2"),
    ],
)
def test_requests_that_make_no_sense(name, body, message):
    with pytest.raises(BadRequestError, match=message) as caught:
        registry.get(name).decode_request(*body)
    assert caught.value.attempts == 0


def test_fields_of_a_form_have_their_types():
    fields = {"prompt": "cat", "n": "2", "stream": "true", "output_compression": "80", "colour": "red", "tags[]": "a"}
    parts = [{"name": key, "data": value.encode()} for key, value in fields.items()]
    request = registry.get("openai_image_edits").decode_request(*form_body(image("image[]"), image("image[]"), *parts))
    assert (request.n, request.stream, request.output_compression) == (2, True, 80)
    assert request.extra == {"openai_images": {"colour": "red", "tags": ["a"]}}
    assert len(request.images) == 2


# --------------------------------------------------------------------------------------------------------- answers
@pytest.mark.parametrize(
    ("name", "answer", "images"),
    [
        ("openai_images", {"data": [{"b64_json": "QQ=="}], "output_format": "webp"},
         [GeneratedImage(data="QQ==", media_type="image/webp")]),
        ("openai_images", {"data": [{"url": "u", "revised_prompt": "p"}]}, [GeneratedImage(url="u", revised_prompt="p")]),
        ("fal_images", {"images": [{"url": PNG_URL}]}, [GeneratedImage(data="iVBORw==", media_type="image/png")]),
        ("fal_images", {"image": {"url": "u"}}, [GeneratedImage(url="u")]),
        ("fireworks_images", {"base64": ["QQ=="], "finishReason": "SUCCESS"}, [GeneratedImage(data="QQ==")]),
        ("stability_images", {"image": "QQ==", "finish_reason": "SUCCESS"}, [GeneratedImage(data="QQ==")]),
        ("gemini_images", {"candidates": [{"content": {"parts": [
            {"text": "Here"}, {"inlineData": {"mimeType": "image/png", "data": "QQ=="}}]}}]},
         [GeneratedImage(data="QQ==", media_type="image/png")]),
        ("gemini_imagen", {"predictions": [{"bytesBase64Encoded": "QQ==", "mimeType": "image/png"}]},
         [GeneratedImage(data="QQ==", media_type="image/png")]),
        ("replicate_images", {"id": "1", "status": "succeeded", "output": "https://u"}, [GeneratedImage(url="https://u")]),
    ],
)  # fmt: skip
def test_what_answers_mean(name, answer, images):
    assert list(registry.get(name).decode_response(json_body(**answer)).images) == images


REFUSED, BROKEN = ContentPolicyViolationError, ResponseDecodeError


@pytest.mark.parametrize(
    ("name", "answer", "error", "message"),
    [
        ("openai_images", {}, BROKEN, "array `data`"),
        ("openai_images", {"data": [{}]}, BROKEN, r"data\[0\] has neither"),
        ("openai_images", {"data": [3]}, BROKEN, r"data\[0\] is no object but integer"),
        ("openai_images", {"error": {"message": "busy", "code": 429}}, APIStatusError, "429: busy"),
        ("bfl_images", {"status": "Request Moderated"}, REFUSED, "kept back"),
        ("bfl_images", {"status": "Error"}, APIStatusError, "not made: Error"),
        ("bfl_images", {"id": "1"}, BROKEN, "`status`"),
        ("fal_images", {"images": [{"b": 1}]}, BROKEN, r"images\[0\] has no url"),
        ("fireworks_images", {"base64": ["QQ=="], "finishReason": "CONTENT_FILTERED"}, REFUSED, "kept back"),
        ("fireworks_images", {}, BROKEN, "`base64`"),
        ("stability_images", {"image": "QQ==", "finish_reason": "CONTENT_FILTERED"}, REFUSED, "kept back"),
        ("stability_images", {}, BROKEN, "`image`"),
        ("gemini_images", {"promptFeedback": {"blockReason": "SAFETY"}}, REFUSED, "SAFETY"),
        ("gemini_images", {"candidates": [{"finishReason": "IMAGE_SAFETY"}]}, REFUSED, "IMAGE_SAFETY"),
        (
            "gemini_images",
            {"candidates": [{"finishReason": "STOP", "content": {"parts": [{"text": "no"}]}}]},
            BROKEN,
            "says: no",
        ),
        ("gemini_imagen", {"predictions": [{"raiFilteredReason": "unsafe"}]}, REFUSED, "unsafe"),
        ("gemini_imagen", {}, BROKEN, "no predictions"),
        ("hyperbolic_images", {"images": []}, BROKEN, "`images`"),
        ("replicate_images", {"id": "1", "status": "failed", "error": "out of memory"}, APIStatusError, "out of memory"),
        ("replicate_images", {"id": "1", "status": "succeeded", "output": None}, BROKEN, "output null"),
        ("replicate_images", {"detail": "no", "status": 422}, APIStatusError, "422: no"),
    ],
)
def test_answers_that_are_none(name, answer, error, message):
    with pytest.raises(error, match=message):
        registry.get(name).decode_response(json_body(**answer))


@pytest.mark.parametrize("name", ["openai_images", "bfl_images", "fal_images", "replicate_images", "gemini_images"])
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"\xff"])
def test_garbage_is_no_answer(name, body):
    with pytest.raises(ResponseDecodeError):
        registry.get(name).decode_response(body)


@pytest.mark.parametrize("name", ["bfl_images", "replicate_images"])
@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"status": "no such word"}'])
def test_nobody_asks_again_for_what_is_no_promise(name, body):
    assert registry.get(name).poll(HttpResponse(status=200, body=body)) is None


def test_replicate_is_asked_by_the_id_where_no_address_came():
    poll = registry.get("replicate_images").poll(HttpResponse(status=201, body=json_body(id="p1", status="starting")))
    assert poll == Poll("predictions/p1", 1.0)


def test_usage_is_told_by_kind():
    answer = {
        "data": [{"url": "u"}],
        "usage": {"input_tokens": 9, "output_tokens": 5, "input_tokens_details": {"image_tokens": 4, "text_tokens": 5}},
    }
    usage = registry.get("openai_images").decode_response(json_body(**answer)).usage
    assert (usage.input_tokens, usage.input_image_tokens, usage.output_tokens, usage.total_tokens) == (9, 4, 5, 14)


def test_usage_of_other_makers_in_openais_words():
    answer = ImageResponse(
        images=(GeneratedImage(url="u"),), usage=Usage(input_tokens=9, input_image_tokens=4, output_tokens=5)
    )
    assert json.loads(registry.get("openai_images").encode_response(answer, now=7)) == {
        "created": 7,
        "data": [{"url": "u"}],
        "usage": {
            "input_tokens": 9,
            "output_tokens": 5,
            "total_tokens": 14,
            "input_tokens_details": {"text_tokens": 5, "image_tokens": 4},
        },
    }


# ---------------------------------------------------------------------------------------------------------- streams
STREAM = (
    b'event: image_generation.partial_image\ndata: {"type":"image_generation.partial_image","b64_json":"QQ==",'
    b'"partial_image_index":0}\n\n'
    b'event: image_generation.completed\ndata: {"type":"image_generation.completed","b64_json":"QUI=","created_at":7,'
    b'"size":"1024x1024","usage":{"input_tokens":3,"output_tokens":4}}\n\n'
)


@pytest.mark.parametrize("size", [1, 5, 64, len(STREAM)])
def test_a_tap_reads_along(size):
    tap = registry.get("openai_images").stream_tap()
    for start in range(0, len(STREAM), size):
        assert not tap.complete
        tap.feed(STREAM[start : start + size])
    assert (tap.started, tap.complete, tap.error, tap.usage.total_tokens) == (True, True, None, 7)


@pytest.mark.parametrize(
    ("stream", "status", "message"),
    [
        (b'data: {"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}\n\n', 429, "slow down"),
        (b"data: nonsense\n\n", 502, "no JSON object"),
    ],
)
def test_a_tap_tells_what_broke(stream, status, message):
    tap = registry.get("openai_images").stream_tap()
    tap.feed(stream)
    tap.feed(STREAM)
    assert (tap.started, tap.complete, tap.error_status) == (True, False, status)
    assert message in tap.error.message


def test_a_stream_that_came_whole_is_an_answer_and_goes_out_as_one():
    dialect = registry.get("openai_images")
    answer = dialect.decode_response(STREAM)
    assert [image.data for image in answer.images] == ["QUI="]
    assert (answer.created, answer.usage.total_tokens) == (7, 7)
    written, media_type = dialect.encode_answer(answer, ImageRequest(model="m", prompt="cat", stream=True), now=0)
    assert media_type == "text/event-stream"
    assert written.startswith(b"event: image_generation.completed\n")
    assert dialect.decode_response(written) == answer
    with pytest.raises(ResponseDecodeError, match="before the answer was complete"):
        dialect.decode_response(STREAM[: STREAM.index(b"event: image_generation.completed")])


def test_who_answers_whole_says_so():
    with pytest.raises(UnsupportedParamsError, match="fal_images answers whole"):
        registry.get("fal_images").stream_decoder()


def test_relaying_replaces_the_model_only():
    envelope = decode_envelope(b'{"model": "mine", "prompt":  "cat"}')
    assert json.loads(json.dumps({
        key: json.loads(bytes(value)) for key, value in
        registry.get("openai_images").edit_request(envelope, model="theirs", want_usage=True).items()
    })) == {"model": "theirs", "prompt": "cat"}  # fmt: skip


@pytest.mark.parametrize("name", ["bfl_images", "fal_images", "replicate_images", "gemini_images", "fireworks_images"])
def test_a_model_cannot_leave_its_path(name):
    path = registry.get(name).path("a b/c?d#e", stream=False)
    assert "a%20b/c%3Fd%23e" in path
    with pytest.raises(BadRequestError, match="model: expected a name"):
        registry.get(name).path("a/../b", stream=False)


# ------------------------------------------------------------------------------------------------------------ sizes
def test_sizes_and_shapes():
    assert pixels("1024x768") == (1024, 768)
    assert pixels("auto") is pixels(None) is None
    offered = ("1:1", "16:9", "9:16")
    assert nearest_ratio("1920x1080", offered) == ("16:9", ())
    ratio, (warning,) = nearest_ratio("1000x800", offered)
    assert (ratio, warning.field, warning.code) == ("1:1", "size", "changed")
    assert nearest_ratio("auto", offered) == (None, ())


def test_a_file_has_an_address():
    assert PNG.address() == PNG_URL
    assert base64.b64decode(PNG.address().partition(",")[2]) == PNG.data
    assert MediaFile(file_id="f").address() == ""
