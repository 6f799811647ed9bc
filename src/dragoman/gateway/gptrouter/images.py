"""POST /generate/generate-image and /generate/edit-image: pictures by whoever makes them, in the shapes that clients read.

Absent keys are left out and never null. The vendors of old keep their forms: DALL-E a list of addresses, Stable Diffusion
`artifacts`; everybody else has the list. Several images are as many calls at once, since most models make one.
"""

from __future__ import annotations

import asyncio
from typing import Any

from dragoman.core.media import GeneratedImage
from dragoman.dialects.gptrouter.requests import Candidate, read_labels, read_object
from dragoman.dialects.openai_chat.reader import Fields, mismatch, refuse
from dragoman.gateway.gptrouter.face import Answer
from dragoman.gateway.gptrouter.visits import Visit
from dragoman.gateway.gptrouter.whole import Answered, Asking, ask, found

MAX_IMAGES = 10
_DEFAULTS = {"dall-e": "dall-e-3", "stable-diffusion": "core"}
_SEVERAL = frozenset({"dall-e-2", "gpt-image-1", "gpt-image-1-mini", "gpt-image-1.5"})
"""Models that make n images in one call."""


async def generate_image(visit: Visit) -> Answer:
    fields = read_object(visit.exchange.body)
    vendor, count = fields.need_text("imageVendor"), _count(fields)
    model = fields.text("model") or _DEFAULTS.get(vendor) or refuse("model", f"missing: {vendor[:60]!r} has no usual one")
    body: dict[str, Any] = {"prompt": fields.need_text("prompt")}
    size = _size(fields)
    if size:
        body["size"] = size
    steps = fields.integer("numInferenceSteps")
    if steps is not None:
        body["num_inference_steps"] = steps
    places = found(visit.face, (Candidate(provider=vendor, model=model),))
    calls = [{**body, "n": count}] if model in _SEVERAL else [body] * count
    labels = read_labels(fields)
    answers = await _asked(visit, [Asking("image", "openai_images", one, places, labels) for one in calls])
    images = [image for answer in answers for image in answer.response.images]
    shown = _artifacts(images) if vendor == "stable-diffusion" else [_image(image) for image in images]
    return 200, {"response": shown, "meta": _meta(answers)}


async def _asked(visit: Visit, calls: list[Asking]) -> list[Answered]:
    """All or none: the first failure ends the others, and is the answer."""
    try:
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(ask(visit, one)) for one in calls]
    except ExceptionGroup as problems:
        raise problems.exceptions[0] from None
    return [task.result() for task in asked]


def _meta(answers: list[Answered]) -> dict[str, Any]:
    """Who made them, and what they cost together where that is known of each."""
    told: dict[str, Any] = {"provider": answers[0].by.provider, "model": answers[0].by.model}
    costs = [answer.cost for answer in answers if answer.cost is not None]
    return told | {"cost": sum(costs)} if len(costs) == len(answers) else told


async def edit_image(visit: Visit) -> Answer:
    """`image` and `mask` are URLs, data: URLs or base64; both `url` and `b64_json` are always filled."""
    fields = read_object(visit.exchange.body)
    model = fields.need_text("model")
    body: dict[str, Any] = {"prompt": fields.need_text("prompt"), "images": _references(fields)}
    mask = fields.text("mask")
    if mask:
        body["mask"] = {"image_url": _address(mask)}
    for theirs, ours in (
        ("n", "n"),
        ("quality", "quality"),
        ("size", "size"),
        ("user", "user"),
        ("responseFormat", "response_format"),
    ):
        value = fields.any(theirs)
        if value is not None:
            body[ours] = value
    provider = fields.text("imageVendor") or ("" if "/" in model or model in visit.face.pipeline.policy.names else "dall-e")
    places = found(visit.face, (Candidate(provider=provider, model=model),))
    answered = await ask(visit, Asking("image_edit", "openai_image_edits", body, places, read_labels(fields)))
    return 200, {"response": {"data": [_both(image) for image in answered.response.images]}, "meta": _meta([answered])}


def _count(fields: Fields) -> int:
    count = fields.integer("numImages")
    if count is None:
        mismatch("numImages", "an integer", None)
    if not 1 <= count <= MAX_IMAGES:
        refuse("numImages", f"expected 1 to {MAX_IMAGES}, found {count}")
    return count


def _size(fields: Fields) -> str:
    size, width, height = fields.text("size"), fields.integer("width"), fields.integer("height")
    return size or (f"{width}x{height}" if width and height else "")


def _references(fields: Fields) -> list[dict[str, str]]:
    given = fields.any("image")
    images = [given] if isinstance(given, str) else given
    if not isinstance(images, list) or not images or not all(isinstance(image, str) for image in images):
        mismatch("image", "an image or an array of images (URLs or base64)", given)
    return [{"image_url": _address(image)} for image in images]


def _address(image: str) -> str:
    return image if image.startswith(("http://", "https://", "data:")) else f"data:image/png;base64,{image}"


def _image(image: GeneratedImage) -> dict[str, Any]:
    held = {"url": image.url, "base64": image.data, "revised_prompt": image.revised_prompt}
    return {key: value for key, value in held.items() if value is not None}


def _artifacts(images: list[GeneratedImage]) -> Any:
    """Stability's form where there is base64; an address has no place in it."""
    if any(image.data is None for image in images):
        return [_image(image) for image in images]
    return {"artifacts": [{"base64": image.data, "finishReason": "SUCCESS"} for image in images]}


def _both(image: GeneratedImage) -> dict[str, str]:
    data = image.data or ""
    return {"url": image.url or f"data:{image.media_type or 'image/png'};base64,{data}", "b64_json": data}
