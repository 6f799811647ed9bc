"""The dialect `openai_image_variations`: POST /images/variations, a form with one image and no prompt."""

from __future__ import annotations

from dragoman.dialects.openai_images.answers import OpenAIImageAnswers
from dragoman.dialects.openai_images.requests import encode_variation, read_variation


class OpenAIImageVariations(OpenAIImageAnswers):
    name = "openai_image_variations"
    endpoint = "/images/variations"
    kind = "image_variation"
    encode_request = staticmethod(encode_variation)
    decode_request = staticmethod(read_variation)


DIALECT = OpenAIImageVariations()
