"""Every recording of images made, edited and varied: answers decode, OpenAI's requests and answers come back as they were."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dragoman.core.errors import BadRequestError, ContentPolicyViolationError, ResponseDecodeError
from dragoman.core.http import HttpResponse
from dragoman.core.media import ImageRequest, MediaFile
from dragoman.dialects import registry
from dragoman.dialects.base import Poll
from support.media import answered, as_value, sent, without_nulls
from support.recordings import exchanges

ENDPOINTS = {
    "images_generations": "openai_images",
    "images_edits": "openai_image_edits",
    "images_variations": "openai_image_variations",
}
OPENAI = [(entry, name) for kind, name in ENDPOINTS.items() for entry in exchanges(kind, provider="openai")]
OTHERS = {
    "fal": "fal_images",
    "hyperbolic": "hyperbolic_images",
    "nebius": "openai_images",
    "openrouter": "openrouter_images",
    "together": "together_images",
    "xai": "openai_images",
}
FOREIGN = [
    (entry, name if entry.kind[0] == "images_generations" else f"{provider}_image_edits")
    for provider, name in OTHERS.items()
    for kind in ("images_generations", "images_edits")
    for entry in exchanges(kind, provider=provider)
]
VIDEOS = {"fal-images_generations-plain-e70f6712", "fal-images_generations-plain-fec9e422"}

NO_PROMPT = {"openai-images_generations-error_400-c7250291": "prompt: expected a string that is not empty"}
"""What the provider refused we refuse too."""


def ident(value: Any) -> str | None:
    return getattr(value, "id", None)


# -------------------------------------------------------------------------------------------------------------- requests
@pytest.mark.parametrize(
    ("entry", "name"), [(entry, name) for entry, name in OPENAI if sent(entry) and entry.id not in NO_PROMPT], ids=ident
)
def test_openai_requests_lose_nothing(entry, name):
    """Deliberate differences: none but the boundary of a form, the order of its parts and headers of parts that say nothing."""
    dialect = registry.get(name)
    body, content_type = sent(entry)
    written, warnings, written_type = dialect.encode_request(dialect.decode_request(body, content_type))
    assert warnings == ()
    assert as_value(written, written_type) == without_nulls(as_value(body, content_type))


@pytest.mark.parametrize(("entry", "name"), [(entry, name) for entry, name in OPENAI if entry.id in NO_PROMPT], ids=ident)
def test_requests_that_nobody_answers(entry, name):
    with pytest.raises(BadRequestError, match=NO_PROMPT[entry.id]):
        registry.get(name).decode_request(*sent(entry))


REQUESTS = {
    "xai-images_edits-image_input-904c572d": ("xai_image_edits", {}),
    "xai-images_generations-plain-e60fe3c6": ("openai_images", {}),
    "openrouter-images_generations-image_output-7bf225aa": ("openrouter_images", {}),
    "together-images_generations-image_output-9d0d1bb3": ("together_images", {"inputs"}),  # a field of the recording client
    "nebius-images_generations-image_output-f05d5174": ("openai_images", {}),
    "fal-images_generations-plain-29cd7d7b": ("fal_images", {}),
    "bfl-images_generations-plain-f645cc40": ("bfl_images", {}),
    "hyperbolic-images_generations-plain-df985fc3": ("hyperbolic_images", {"response_format"}),  # base64 is all it gives
}
RECORDED = [
    entry
    for kind in ENDPOINTS
    for entry in exchanges(kind)
    if entry.id in REQUESTS
]  # fmt: skip
OPENAI_FIELDS = {"prompt", "n", "model", "response_format"}


@pytest.mark.parametrize("entry", RECORDED, ids=ident)
def test_requests_of_other_makers_are_written_as_recorded(entry):
    """The same meaning in our words gives the recorded body, up to the fields named in the table."""
    name, differing = REQUESTS[entry.id]
    recorded = entry.load().request_json
    written, warnings, _ = registry.get(name).encode_request(as_request(recorded))
    assert warnings == ()
    assert as_value(written) == {key: value for key, value in recorded.items() if key not in differing}


def as_request(recorded: dict[str, Any]) -> ImageRequest:
    """A maker's body as the request a client of OpenAI's would have written."""
    left = {key: value for key, value in recorded.items() if key not in OPENAI_FIELDS}
    urls = [item["url"] for item in left.pop("images", [])]
    urls += [item["image_url"]["url"] for item in left.pop("input_references", [])]
    form = {"base64": "b64_json"}.get(recorded.get("response_format"), recorded.get("response_format"))
    left.pop("inputs", None)
    model = recorded.get("model") or (left.pop("model_name", "flux-dev") if "height" in left else "m")
    size = f"{left.pop('width')}x{left.pop('height')}" if "width" in left else None
    return ImageRequest(
        model=model,
        prompt=recorded["prompt"],
        images=tuple(MediaFile(url=url) for url in urls),
        response_format=form,
        size=size,
        extra={"openai_images": left},
    )


# --------------------------------------------------------------------------------------------------------------- answers
@pytest.mark.parametrize(("entry", "name"), [pair for pair in OPENAI if pair[0].status == 200], ids=ident)
def test_openai_answers_come_through(entry, name):
    dialect, (body, _) = registry.get(name), answered(entry)
    answer = dialect.decode_response(body)
    assert json.loads(dialect.encode_response(answer, now=0)) == json.loads(body)
    assert answer.usage == dialect.read_usage(body)
    assert all(image.url or image.data for image in answer.images)


@pytest.mark.parametrize(
    ("entry", "name"), [pair for pair in FOREIGN if pair[0].status == 200 and pair[0].id not in VIDEOS], ids=ident
)
def test_answers_of_other_makers(entry, name):
    body, _ = answered(entry)
    answer = registry.get(name).decode_response(body)
    recorded = json.loads(body)
    listed = recorded.get("data") or recorded.get("images")
    found = [image.url or image.data for image in answer.images]
    assert found == [item.get("url") or item.get("b64_json") or item.get("image") for item in listed]


@pytest.mark.parametrize("entry", [entry for entry, _ in FOREIGN if entry.id in VIDEOS], ids=ident)
def test_a_video_is_no_image(entry):
    with pytest.raises(ResponseDecodeError, match="no images but video"):
        registry.get("fal_images").decode_response(answered(entry)[0])


@pytest.mark.parametrize(("entry", "name"), [pair for pair in [*OPENAI, *FOREIGN] if pair[0].status != 200], ids=ident)
def test_failures_say_what_the_provider_said(entry, name):
    detail = registry.get(name).decode_error(entry.status, answered(entry)[0])
    assert detail.message
    assert "without a message" not in detail.message


# -------------------------------------------------------------------------------------------------------- created, then there
BFL = [entry for kind in ("images_generations", "poll") for entry in exchanges(kind, provider="bfl")]
REPLICATE = [
    entry for kind in ("predictions_create", "predictions_get") for entry in exchanges(kind, provider="replicate")
    if entry.status < 300 and not entry.streaming
]  # fmt: skip


@pytest.mark.parametrize("entry", BFL, ids=ident)
def test_bfl_is_asked_until_the_image_is_there(entry):
    dialect, (body, _) = registry.get("bfl_images"), answered(entry)
    value = json.loads(body)
    poll = dialect.poll(HttpResponse(status=200, body=body))
    if "polling_url" in value:
        assert poll == Poll(value["polling_url"], 0.5)
    elif value["status"] == "Pending":
        assert poll == Poll("", 0.5), "at the same address again"
    else:
        assert poll is None
        assert [image.url for image in dialect.decode_response(body).images] == [value["result"]["sample"]]


@pytest.mark.parametrize("entry", REPLICATE, ids=ident)
def test_replicate_is_asked_until_the_output_is_there(entry):
    dialect, (body, _) = registry.get("replicate_images"), answered(entry)
    value = json.loads(body)
    poll = dialect.poll(HttpResponse(status=200, body=body))
    if value["status"] in ("starting", "processing"):
        assert poll == Poll(value["urls"]["get"], 1.0)
    else:
        assert poll is None
    output = value.get("output")
    if value["status"] == "succeeded" and output and all(str(item).startswith(("http", "data:")) for item in output):
        assert [image.url or image.data for image in dialect.decode_response(body).images] == [
            item.rpartition(",")[2] if item.startswith("data:") else item for item in output
        ]


def asks_for_an_image(entry) -> bool:
    recorded = entry.load().request_json
    return entry.status == 201 and "prompt" in recorded["input"] and "stream" not in recorded


@pytest.mark.parametrize(
    "entry", [entry for entry in exchanges("predictions_create", provider="replicate") if asks_for_an_image(entry)], ids=ident
)
def test_replicate_requests_are_written_as_recorded(entry):
    recorded = entry.load().request_json
    given = recorded["input"]
    extra = {key: value for key, value in given.items() if key not in ("prompt", "width", "height")}
    size = f"{given['width']}x{given['height']}" if "width" in given else None
    url = entry.load().data["request"]["url"]
    model = (
        f"owner/name:{recorded['version']}" if "version" in recorded else url.split("/models/")[1].removesuffix("/predictions")
    )
    dialect = registry.get("replicate_images")
    request = ImageRequest(model=model, prompt=given["prompt"], size=size, extra={"openai_images": extra})
    written, warnings, _ = dialect.encode_request(request)
    assert (as_value(written), warnings) == (recorded, ())
    assert url.endswith(dialect.path(model, stream=False))


def test_a_kept_back_image_is_a_content_policy_violation():
    body = json.dumps({"id": "1", "status": "Content Moderated", "result": None}).encode()
    with pytest.raises(ContentPolicyViolationError, match="Content Moderated"):
        registry.get("bfl_images").decode_response(body)
