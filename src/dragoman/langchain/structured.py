"""`with_structured_output`: what is bound to the model for each method, and what reads the answer.

A refusal is raised as ModelRefusalError instead of passing for a malformed answer. While an answer streams, parts of it are
given out: dicts that grow, or objects as soon as they are valid. Called by `base`.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any

from langchain_core.messages import AIMessage
from langchain_core.output_parsers import JsonOutputParser, PydanticOutputParser
from langchain_core.output_parsers.openai_tools import JsonOutputKeyToolsParser, PydanticToolsParser
from langchain_core.outputs import Generation
from langchain_core.runnables import Runnable, RunnableMap, RunnablePassthrough
from langchain_core.utils.function_calling import convert_to_openai_tool
from langchain_core.utils.pydantic import is_basemodel_subclass

from dragoman.langchain.errors import ModelRefusalError
from dragoman.langchain.schemas import can_be_strict, strict_schema

Parser = Runnable[Any, Any]
METHODS = ("json_schema", "function_calling", "json_mode")


def _answer(result: list[Generation], *, partial: bool) -> AIMessage | None:
    """The message that is read; None while it is not whole. Raises ModelRefusalError."""
    message = getattr(result[0], "message", None) if result else None
    if not isinstance(message, AIMessage) or (partial and getattr(message, "chunk_position", None) != "last"):
        return None
    blocks = message.content if isinstance(message.content, list) else []
    said = (block.get("refusal") for block in blocks if isinstance(block, dict) and block.get("type") == "refusal")
    refusal = message.additional_kwargs.get("refusal") or next(said, None)
    if refusal:
        raise ModelRefusalError(f"the model refused: {refusal}", raw_message=message)
    return message


def _is_call(message: AIMessage | None) -> bool:
    """A model that was given tools beside the schema may call one instead of answering."""
    return message is not None and bool(message.tool_calls) and not message.text


class _Json(JsonOutputParser):
    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        return None if _is_call(_answer(result, partial=partial)) else super().parse_result(result, partial=partial)


class _Pydantic(PydanticOutputParser[Any]):
    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        return None if _is_call(_answer(result, partial=partial)) else super().parse_result(result, partial=partial)


class _PydanticTools(PydanticToolsParser):
    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        _answer(result, partial=partial)
        return super().parse_result(result, partial=partial)


class _JsonTools(JsonOutputKeyToolsParser):
    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        _answer(result, partial=partial)
        return super().parse_result(result, partial=partial)


def _is_pydantic(schema: Any) -> bool:
    return isinstance(schema, type) and is_basemodel_subclass(schema)


# ----------------------------------------------------------------------------------------------------------- the methods
def json_schema(schema: Any, *, strict: bool | None) -> tuple[dict[str, Any], Parser]:
    """`strict` None is as strict as the schema allows."""
    function = convert_to_openai_tool(schema)["function"]
    parameters = function.get("parameters") or {"type": "object", "properties": {}}
    closed = can_be_strict(parameters) if strict is None else strict
    described = {"description": function["description"]} if function.get("description") else {}
    form = {"name": function["name"], **described, "schema": strict_schema(parameters) if closed else parameters}
    bound = {"response_format": {"type": "json_schema", "json_schema": form | {"strict": closed}}}
    return bound, _Pydantic(pydantic_object=schema) if _is_pydantic(schema) else _Json()


def json_mode(schema: Any, *, strict: bool | None) -> tuple[dict[str, Any], Parser]:
    if strict is not None:
        raise ValueError("strict: json_mode knows no schema to be strict about; use method='json_schema'")
    parser = _Pydantic(pydantic_object=schema) if _is_pydantic(schema) else _Json()
    return {"response_format": {"type": "json_object"}}, parser


def function_calling(schema: Any, *, strict: bool | None) -> tuple[dict[str, Any], Parser]:
    name = convert_to_openai_tool(schema)["function"]["name"]
    bound: dict[str, Any] = {"tool_choice": name, "parallel_tool_calls": False, "strict": strict}
    if _is_pydantic(schema):
        return bound, _PydanticTools(tools=[schema], first_tool_only=True)
    return bound, _JsonTools(key_name=name, first_tool_only=True)


BUILDERS: dict[str, Callable[..., tuple[dict[str, Any], Parser]]] = {
    "json_schema": json_schema,
    "function_calling": function_calling,
    "json_mode": json_mode,
}


def parsed(model: Runnable[Any, Any], parser: Parser, *, include_raw: bool) -> Runnable[Any, Any]:
    """The model and its parser; with `include_raw` {"raw", "parsed", "parsing_error"}, which never raises for a bad answer."""
    if not include_raw:
        return model | parser
    read = RunnablePassthrough.assign(parsed=itemgetter("raw") | parser, parsing_error=lambda _: None)
    failed = RunnablePassthrough.assign(parsed=lambda _: None)
    return RunnableMap(raw=model) | read.with_fallbacks([failed], exception_key="parsing_error")
