"""The dialect `openai_transcriptions`: POST /audio/transcriptions as OpenAI has it, a form with the sound in it, both halves.

`translations` beside it is `openai_translations`: the same, into English. Sound is passed on as it came; nothing is converted.
Called through `registry.get`. Source: https://platform.openai.com/docs/api-reference/audio/createTranscription
"""

from __future__ import annotations

from dragoman.dialects.openai_transcriptions.dialect import OpenAITranscriptions

__all__ = ["DIALECT", "OpenAITranscriptions"]

DIALECT = OpenAITranscriptions()
