"""The client's values: either spelling of a name, nothing lost, the dicts that programs for pydantic ask for."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from dragoman.gptrouter import GenerationParams, GenerationResponse, ModelGenerationRequest, ModelsEnum, SystemOneTextState
from dragoman.gptrouter.decisions import ModelRouterSystemOneGenerationResponse, SystemOneNoulAnswer
from dragoman.gptrouter.models import ExtendedThinking, ImageEditRequest, ImageGenerationResponse
from dragoman.gptrouter.operations import generation, read_images


@pytest.mark.parametrize(
    "names", [("model_name", "provider_name", "prompt_params"), ("modelName", "providerName", "promptParams")]
)
def test_a_request_takes_either_spelling(names: tuple[str, str, str]) -> None:
    request = ModelGenerationRequest(**dict(zip(names, ("m", "p", {"prompt": "x"}), strict=True)))
    assert (request.model_name, request.provider_name, request.prompt_params) == ("m", "p", GenerationParams(prompt="x"))
    assert request.wire() == {"modelName": "m", "providerName": "p", "promptParams": {"prompt": "x"}}


def test_a_missing_field_is_named() -> None:
    with pytest.raises(ValueError, match="ModelGenerationRequest: provider_name: missing"):
        ModelGenerationRequest(model_name="m")


def test_parameters_without_a_field_are_kept() -> None:
    params = GenerationParams(prompt="x", mirostat=2, thinking=ExtendedThinking(type="enabled"))
    assert params.wire() == {"prompt": "x", "mirostat": 2, "thinking": {"type": "enabled", "budget_tokens": 1024}}
    assert params.dict()["temperature"] is None
    assert GenerationParams.model_validate(params.model_dump()) == params
    assert "mirostat" in params.json()


def test_candidates_without_an_order_stand_where_they_are() -> None:
    requests = [ModelGenerationRequest(model_name=ModelsEnum.OPENAI_GPT_4, provider_name="p") for _ in range(2)]
    body: Any = generation(requests, is_stream=False, more={}).body
    assert [(one["order"], one["modelName"]) for one in body["data"]] == [(1, "gpt-4"), (2, "gpt-4")]
    with pytest.raises(ValueError, match="at least one"):
        generation([], is_stream=False, more={})


@pytest.mark.parametrize(
    "meta",
    [
        {"usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}},
        {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    ],
)
def test_usage_is_read_nested_and_flat(meta: dict[str, Any]) -> None:
    answer = GenerationResponse.model_validate({"id": "i", "model": "m", "choices": [{"index": 0, "text": "x"}], "meta": meta})
    assert answer.meta is not None
    assert (answer.meta.prompt_tokens, answer.meta.total_tokens) == (1, 3)
    assert answer.choices[0].text == "x"


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        ({"response": [{"url": "u", "base64": None}]}, [ImageGenerationResponse(url="u")]),
        (
            {"response": {"artifacts": [{"base64": "b", "finishReason": "OK"}]}},
            [ImageGenerationResponse(base64="b", finish_reason="OK")],
        ),
        ({"response": {"imageUrls": ["u"]}}, [ImageGenerationResponse(url="u")]),
        ({"response": {"data": [{"url": "u", "b64_json": "b"}]}}, [ImageGenerationResponse(url="u", base64="b")]),
        ({"response": []}, []),
    ],
)
def test_images_are_read_in_every_form(held: Any, expected: list[ImageGenerationResponse]) -> None:
    assert read_images(held) == expected


def test_an_edit_is_written_by_the_names_of_the_wire() -> None:
    assert ImageEditRequest(image="i", prompt="p").wire() == {
        "image": "i",
        "prompt": "p",
        "model": "gpt-image-1",
        "n": 1,
        "quality": "high",
        "size": "1024x1024",
    }


def test_answers_of_system_one_are_read_by_their_type() -> None:
    answer = ModelRouterSystemOneGenerationResponse.model_validate(
        {"model": "m", "answers": {"q": {"type": "noul", "noul": 0.5}, "r": {"type": "new", "x": 1}}}
    )
    assert answer.answers == {"q": SystemOneNoulAnswer(noul=0.5), "r": {"type": "new", "x": 1}}
    assert SystemOneTextState(text="t").wire() == {"text": "t", "kind": "text"}


PROGRAM = """
import dragoman.gptrouter.compat as compat
compat.install()
from gpt_router import GPTRouterClient, ModelGenerationRequest
from gpt_router.client import GPTRouterClient as same
from gpt_router.models import GenerationParams
from gpt_router.enums import ModelsEnum, ProvidersEnum, StreamingEventType
from gpt_router.exceptions import GPTRouterApiTimeoutError
import dragoman.gptrouter
assert same is GPTRouterClient is dragoman.gptrouter.GPTRouterClient
compat.install()
"""


def test_a_program_for_the_official_client_runs_unchanged() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=60)
