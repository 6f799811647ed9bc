"""The OpenAPI document of the face, GET /api/openapi.json: what each route takes, what it answers, and with which statuses.

It is data, written beside the routes it describes; tests hold it against them. Fields that are not listed are allowed:
providers know parameters that nobody here does.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import dragoman
from dragoman.core import json
from dragoman.dialects.gptrouter.requests import MAX_CANDIDATES, MAX_MILLISECONDS, MAX_RETRIES
from dragoman.gateway.gptrouter.images import MAX_IMAGES
from dragoman.gateway.gptrouter.prompts import MAX_OPTIMIZED

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_NAME: Schema = {"type": "string", "minLength": 1}
_FLAG: Schema = {"type": "boolean"}
_COUNT: Schema = {"type": "integer"}
_NUMBER: Schema = {"type": "number"}
_ANY: Schema = {"type": "object"}
_UUID: Schema = {"type": "string", "format": "uuid"}
_MOMENT: Schema = {"type": "string", "format": "date-time"}


def _object(required: str = "", /, **properties: Schema) -> Schema:
    """`required`: names with blanks between. Whatever is not may be null as well."""
    needed = required.split()
    told = {name: schema if name in needed else _or_null(schema) for name, schema in properties.items()}
    return {"type": "object", "properties": told} | ({"required": needed} if needed else {})


def _or_null(schema: Schema) -> Schema:
    kind = schema.get("type")
    return {**schema, "type": [kind, "null"]} if isinstance(kind, str) else schema


def _list(item: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": item, **more}


def _of(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_LABELS = {"tag": _TEXT, "createdByUserId": _TEXT, "historyId": _TEXT, "appId": _TEXT, "metadata": _ANY}
_WHOLE = {
    "stream": _FLAG,
    "timeout": {"type": "number", "minimum": 1, "maximum": MAX_MILLISECONDS, "description": "milliseconds, of the whole call"},
    "maxRetries": {"type": "integer", "minimum": 0, "maximum": MAX_RETRIES, "description": "further attempts in all"},
    **_LABELS,
}
_IMAGES = {"oneOf": [_NAME, _list(_NAME, minItems=1)]}
_INPUT = {"type": ["string", "array"], "items": {"type": ["string", "integer", "array"]}, "minItems": 1}
"""Texts, or tokens."""


def _candidates(**params: Schema) -> Schema:
    candidate = _object("modelName", order=_NUMBER, modelName=_NAME, providerName=_NAME, promptParams=_object(**params))
    return _list(candidate, minItems=1, maxItems=MAX_CANDIDATES)


_SCHEMAS: dict[str, Schema] = {
    "Error": _object("message", message=_TEXT, statusCode=_COUNT, error={"type": ["object", "string"]}),
    "Provider": _object("id name createdAt updatedAt", id=_UUID, name=_TEXT, createdAt=_MOMENT, updatedAt=_MOMENT),
    "Model": _object(
        "id name providerId providerName inputType order createdAt updatedAt",
        id=_UUID,
        name=_TEXT,
        providerId=_UUID,
        providerName=_TEXT,
        inputType={"enum": ["prompt", "messages"]},
        order=_COUNT,
        createdAt=_MOMENT,
        updatedAt=_MOMENT,
    ),
    "Generation": _object("data", **_WHOLE, data=_candidates(messages=_list(_ANY), prompt=_TEXT)),
    "Answer": _object(
        "id model choices meta providerId modelId",
        id=_TEXT,
        model=_TEXT,
        choices=_list(_object("index text finish_reason", index=_COUNT, text=_TEXT, finish_reason=_TEXT)),
        meta=_object("usage prompt_tokens completion_tokens total_tokens", usage=_ANY, attempts=_list(_ANY)),
        providerId=_UUID,
        modelId=_UUID,
    ),
    "Stored": _object(
        "data",
        **_WHOLE,
        data=_object(
            "promptId inputData",
            promptId=_NAME,
            label=_TEXT,
            version=_COUNT,
            inputData=_ANY,
            n=_COUNT,
            language=_TEXT,
            userId=_TEXT,
        ),
    ),
    "Question": _object(
        "data",
        **_WHOLE,
        data=_object(
            "model imageUrl promptParams",
            model=_NAME,
            providerName=_NAME,
            imageUrl=_NAME,
            promptParams=_object("prompt", prompt=_NAME),
            chatHistory=_list(_ANY),
        ),
    ),
    "Short": _object("response", response=_TEXT, meta=_ANY),
    "Picture": _object(
        "imageVendor prompt numImages",
        **_LABELS,
        imageVendor=_NAME,
        model=_NAME,
        prompt=_NAME,
        numImages={"type": "integer", "minimum": 1, "maximum": MAX_IMAGES},
        width=_COUNT,
        height=_COUNT,
        size=_TEXT,
        numInferenceSteps=_COUNT,
    ),
    "Pictures": _object("response", response={"type": ["array", "object"]}, meta=_ANY),
    "Edit": _object(
        "model image prompt", **_LABELS, model=_NAME, image=_IMAGES, prompt=_NAME, mask=_TEXT, n=_COUNT, size=_TEXT
    ),
    "Edited": _object("response", response=_object("data", data=_list(_object("url b64_json", url=_TEXT, b64_json=_TEXT)))),
    "Embedding": _object("data", **_LABELS, data=_candidates(input=_INPUT)),
    "EmbeddingAnywhere": _object("modelName input", **_LABELS, modelName=_NAME, input=_INPUT),
    "Embeddings": _object("choices", choices=_list(_object("embedding", embedding=_list(_NUMBER))), model=_TEXT, meta=_ANY),
    "Decision": _object("data", **_LABELS, data=_candidates(state=_ANY, questions=_ANY)),
    "Decided": _object("answers", model=_TEXT, answers=_ANY, meta=_ANY),
    "Health": _object(
        "modelId data",
        modelId=_UUID,
        data=_list(_object("time isAvailable latency", time=_MOMENT, isAvailable=_FLAG, latency={"type": ["number", "null"]})),
    ),
    "Checked": _object("modelId isAvailable status", modelId=_UUID, providerId=_UUID, isAvailable=_FLAG, status=_TEXT),
    "Usage": _object("modelId data", modelId=_UUID, data=_list(_object("totalTokens cost createdAt", createdAt=_MOMENT))),
    "NewPrompt": _object(
        "title promptParams",
        id=_UUID,
        title=_TEXT,
        models=_list(_TEXT),
        promptParams=_ANY,
        parentPromptId=_TEXT,
        updateMessage=_TEXT,
    ),
    "ChangedPrompt": _object("promptParams", title=_TEXT, models=_list(_TEXT), promptParams=_ANY, updateMessage=_TEXT),
    "Prompt": _object(
        "id title models promptParams parentPromptId versionNumber labels isDeleted createdAt updatedAt",
        id=_UUID,
        versionNumber=_COUNT,
        labels=_list(_TEXT),
        isDeleted=_FLAG,
        createdAt=_MOMENT,
        updatedAt=_MOMENT,
    ),
    "Login": _object("email password", email=_NAME, password=_NAME),
    "Token": _object("id email role token", id=_TEXT, email=_TEXT, role=_TEXT, token=_TEXT),
    "Message": _object("message", message=_TEXT),
}

_TALK = {"messages": [{"role": "user", "content": "Say hi"}], "max_tokens": 50}
_FIRST = {"order": 1, "modelName": "gpt-4o", "providerName": "chat_openai", "promptParams": _TALK}
_VECTORS = {"modelName": "text-embedding-3-small", "providerName": "openai_embeddings", "promptParams": {"input": ["a", "b"]}}
_EXAMPLES: dict[str, Any] = {
    "Generation": {"data": [_FIRST, {"order": 2, "modelName": "claude-2.1", "providerName": "anthropic"}], "timeout": 30000},
    "Embedding": {"data": [_VECTORS]},
    "EmbeddingAnywhere": {"modelName": "text-embedding-3-small", "input": ["a", "b"]},
    "NewPrompt": {"title": "greeting", "models": ["chat_openai/gpt-4o"], "promptParams": {"prompt": "Greet [who]"}},
}

_SPAN = tuple(
    {"name": name, "in": "query", "schema": {"type": "string", "format": "date"}} for name in ("startDate", "endDate")
)
_ID = {"name": "id", "in": "path", "required": True, "schema": _UUID}
_OTHER = {**_ID, "name": "other"}
_REWRITTEN = _object("messages", messages=_list(_ANY, minItems=1, maxItems=MAX_OPTIMIZED))

ROUTES: tuple[tuple[str, str, Schema | None, Schema, tuple[Any, ...]], ...] = (
    ("get", "/provider/all", None, _list(_of("Provider")), ()),
    ("get", "/model/all", None, _list(_of("Model")), ()),
    ("get", "/model/{id}", None, _of("Model"), (_ID,)),
    ("post", "/generate", _of("Generation"), _of("Answer"), ()),
    ("post", "/generate/prompt", _of("Stored"), _of("Answer"), ()),
    ("post", "/generate/image", _of("Question"), _of("Short"), ()),
    ("post", "/generate/generate-image", _of("Picture"), _of("Pictures"), ()),
    ("post", "/generate/edit-image", _of("Edit"), _of("Edited"), ()),
    ("post", "/generate/embeddings", _of("Embedding"), _of("Embeddings"), ()),
    ("post", "/generate/embeddings-v2", _of("EmbeddingAnywhere"), _of("Embeddings"), ()),
    ("post", "/generate/system-one", _of("Decision"), _of("Decided"), ()),
    ("get", "/healthcheck", None, _list(_of("Health")), _SPAN),
    ("post", "/healthcheck", None, _list(_of("Checked")), ()),
    ("get", "/model-usage/model", None, _list(_of("Usage")), _SPAN),
    ("get", "/prompt/all", None, _list(_of("Prompt")), ()),
    ("post", "/prompt", _of("NewPrompt"), _of("Prompt"), ()),
    ("get", "/prompt/{id}", None, _list(_of("Prompt")), (_ID,)),
    ("put", "/prompt/{id}", _of("ChangedPrompt"), _of("Prompt"), (_ID,)),
    ("delete", "/prompt/{id}", None, _of("Message"), (_ID,)),
    ("put", "/prompt/{id}/label", _object("label", label=_NAME), _of("Prompt"), (_ID,)),
    ("get", "/prompt/{id}/diff/{other}", None, _object("from to diff", diff=_TEXT), (_ID, _OTHER)),
    ("post", "/prompt/optimize", _REWRITTEN, _list(_ANY), ()),
    ("post", "/user/login", _of("Login"), _of("Token"), ()),
)
"""Method, path below /api/v1, schema of the body, of the answer, parameters."""

_STREAMED = frozenset({"/generate", "/generate/prompt", "/generate/image"})
_FAILURES = {"400": "a mistake in it", "401": "no key, or a wrong one", "403": "not for this key", "404": "not there"}
_FAILURES |= {"429": "too much", "500": "the gateway failed", "503": "nobody could answer"}


@cache
def document() -> bytes:
    paths: dict[str, dict[str, Any]] = {}
    for method, path, body, answer, parameters in ROUTES:
        paths.setdefault(f"/api/v1{path}", {})[method] = _operation(path, body, answer, parameters)
    keys = {
        "ws-secret": {"type": "apiKey", "in": "header", "name": "ws-secret"},
        "bearer": {"type": "http", "scheme": "bearer"},
    }
    told = {
        "openapi": "3.1.0",
        "info": {"title": "Dragoman: GPTRouter's API", "version": dragoman.__version__},
        "security": [{name: []} for name in keys],
        "paths": paths,
        "components": {"schemas": {name: _shown(name, schema) for name, schema in _SCHEMAS.items()}, "securitySchemes": keys},
    }
    return json.encode(told)


def _shown(name: str, schema: Schema) -> Schema:
    return {**schema, "examples": [_EXAMPLES[name]]} if name in _EXAMPLES else schema


def _operation(path: str, body: Schema | None, answer: Schema, parameters: tuple[Any, ...]) -> dict[str, Any]:
    content: dict[str, Any] = {"application/json": {"schema": answer}}
    if path in _STREAMED:
        content["text/event-stream"] = {}
    failed = {"application/json": {"schema": _of("Error")}}
    responses = {"200": {"description": "the answer", "content": content}}
    responses |= {status: {"description": why, "content": failed} for status, why in _FAILURES.items()}
    told: dict[str, Any] = {"responses": responses, "parameters": list(parameters)}
    if body is not None:
        told["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return told if path != "/user/login" else {**told, "security": []}
