"""The rows of those who make pictures and sound and nothing else, and what those who copy OpenAI offer beside chat.

Rows only, as in `table`, which puts them into its own.
"""

from __future__ import annotations

from dragoman.providers.base import Provider

SPEECH = {"speech": "openai_speech"}
TRANSCRIPTIONS = {"transcription": "openai_transcriptions"}
TRANSLATIONS = {"translation": "openai_translations"}
SOUND = {**SPEECH, **TRANSCRIPTIONS, **TRANSLATIONS}
IMAGES = {"image": "openai_images"}
OPENAI_MEDIA = {**IMAGES, "image_edit": "openai_image_edits", "image_variation": "openai_image_variations", **SOUND}

_BFL_REGIONS = ("eu", "us", "eu1", "eu2", "eu3", "eu4", "us1", "us2", "us3", "us4")

MEDIA: tuple[Provider, ...] = (
    Provider(
        name="stability",
        base_url="https://api.stability.ai/v2beta",
        key_variables=("STABILITY_API_KEY",),
        aliases=("stability_ai",),
        dialects={"image": "stability_images", "image_edit": "stability_images"},
        docs="https://platform.stability.ai/docs/api-reference",
    ),
    Provider(
        name="fal",
        base_url="https://fal.run",
        key_variables=("FAL_KEY", "FAL_AI_API_KEY"),
        aliases=("fal_ai",),
        auth="key",
        dialects={"image": "fal_images", "image_edit": "fal_images", "transcription": "fal_transcriptions"},
        docs="https://docs.fal.ai/model-apis",
    ),
    Provider(
        name="black_forest_labs",
        base_url="https://api.bfl.ai/v1",
        key_variables=("BFL_API_KEY",),
        # The address to ask at again names the region that took the request.
        hosts=tuple(f"api.{region}.bfl.ai" for region in _BFL_REGIONS),
        aliases=("bfl",),
        auth="x-key",
        dialects={"image": "bfl_images", "image_edit": "bfl_images"},
        docs="https://docs.bfl.ai/api-reference",
    ),
    Provider(
        name="deepgram",
        base_url="https://api.deepgram.com/v1",
        key_variables=("DEEPGRAM_API_KEY",),
        base_url_variables=("DEEPGRAM_API_BASE",),
        auth="token",
        dialects={"speech": "deepgram_speech", "transcription": "deepgram_transcriptions"},
        docs="https://developers.deepgram.com/reference",
    ),
    Provider(
        name="elevenlabs",
        base_url="https://api.elevenlabs.io/v1",
        key_variables=("ELEVENLABS_API_KEY", "ELEVEN_API_KEY"),
        base_url_variables=("ELEVENLABS_API_BASE",),
        auth="xi-api-key",
        dialects={"speech": "elevenlabs_speech", "transcription": "elevenlabs_transcriptions"},
        docs="https://elevenlabs.io/docs/api-reference",
    ),
)
