"""The dialect `openai_image_edits`: POST /images/edits, a form with the images in it, or JSON with their addresses."""

from __future__ import annotations

from dragoman.dialects.openai_images.answers import OpenAIImageAnswers
from dragoman.dialects.openai_images.requests import encode_edit, read_edit


class OpenAIImageEdits(OpenAIImageAnswers):
    name = "openai_image_edits"
    endpoint = "/images/edits"
    kind = "image_edit"
    encode_request = staticmethod(encode_edit)
    decode_request = staticmethod(read_edit)


DIALECT = OpenAIImageEdits()
