"""The dialect `openai_images`: POST /images/generations as OpenAI has it, both halves and the relay.

`edits` and `variations` beside it are `openai_image_edits` and `openai_image_variations`: the same answers, other requests.
Addresses in answers are passed on; nothing is fetched. Called through `registry.get`.
Source: https://platform.openai.com/docs/api-reference/images
"""

from __future__ import annotations

from dragoman.dialects.openai_images.answers import OpenAIImageAnswers
from dragoman.dialects.openai_images.requests import encode_generation, read_generation

__all__ = ["DIALECT", "OpenAIImages"]


class OpenAIImages(OpenAIImageAnswers):
    name = "openai_images"
    endpoint = "/images/generations"
    kind = "image_generation"
    encode_request = staticmethod(encode_generation)
    decode_request = staticmethod(read_generation)


DIALECT = OpenAIImages()
