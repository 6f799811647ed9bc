"""The dialect `openai_translations`: POST /audio/translations, what is said in any language, written in English."""

from __future__ import annotations

from dragoman.dialects.openai_transcriptions.dialect import OpenAITranscriptions


class OpenAITranslations(OpenAITranscriptions):
    name = "openai_translations"
    endpoint = "/audio/translations"
    fields = ("model", "prompt", "response_format", "temperature")


DIALECT = OpenAITranslations()
