"""YAML as configuration wants it: read by YAML 1.2's core rules, with the line of every key, and `os.environ/NAME` filled in.

YAML 1.1's traps are off: `no`, `on` and `1:30` are strings. A duplicate key is an error. Errors name file, line and key,
and never show a value that could be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar, get_args

import msgspec
import yaml
from msgspec import Struct

from dragoman.core.errors import ConfigurationError

_ENVIRONMENT = "os.environ/"
_OWN_VARIABLES = "environment_variables"

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _CoreLoader(_Base):  # type: ignore[misc]  # the C loader where it is built, the Python one elsewhere
    """The resolvers and scalar types of YAML 1.2's core schema and no others (https://yaml.org/spec/1.2.2/#103-core-schema)."""

    yaml_implicit_resolvers: dict[str, Any] = {}
    yaml_constructors: dict[Any, Any] = {
        None: _Base.construct_undefined,
        **{
            tag: _Base.yaml_constructors[tag]
            for tag in ("tag:yaml.org,2002:str", "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map")
        },
    }


def _scalar(name: str, pattern: str, first: str, read: Callable[[str], Any]) -> None:
    """Plain scalars that match are of this type; one that only a tag calls so must match too."""
    tag, matcher = f"tag:yaml.org,2002:{name}", re.compile(pattern)

    def construct(_: Any, node: Any) -> Any:
        if not (isinstance(node, yaml.ScalarNode) and matcher.fullmatch(node.value)):
            raise yaml.constructor.ConstructorError(None, None, f"this is no {name}", node.start_mark)
        return read(node.value)

    _CoreLoader.add_implicit_resolver(tag, matcher, [*first, ""] if name == "null" else list(first))
    _CoreLoader.add_constructor(tag, construct)


def _whole_number(text: str) -> int:
    return int(text, 0) if text[:2] in ("0o", "0x") else int(text)  # 1.1 would read 012 as octal


def _number(text: str) -> float:
    return float(text.replace(".inf", "inf").replace(".nan", "nan"))


_scalar("null", r"(?:~|null|Null|NULL|)$", "~nN", lambda _: None)
_scalar("bool", r"(?:true|True|TRUE|false|False|FALSE)$", "tTfF", lambda text: text.lower() == "true")
_scalar("int", r"(?:[-+]?[0-9]{1,40}|0o[0-7]{1,40}|0x[0-9a-fA-F]{1,40})$", "-+0123456789", _whole_number)
_scalar(
    "float",
    r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
    "-+.0123456789",
    lambda text: _number(text.lower()),
)
_CoreLoader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile(r"^<<$"), ["<"])


class Document:
    """A parsed file: `value` is plain data; `line(path)` is where a path such as `models[0].api_key` stands."""

    def __init__(self, file: str, value: Any, lines: dict[str, int]) -> None:
        self.file = file
        self.value = value
        self._lines = lines

    def line(self, path: str) -> int:
        """Of what is not written itself (a default, a merged key): the line of what it is in."""
        while path and path not in self._lines:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self._lines.get(path, 1)

    def error(self, path: str, message: str) -> ConfigurationError:
        return ConfigurationError(f"{self.file}:{self.line(path)}: {path or 'the file'}: {message}")


def parse(text: str, *, file: str, env: Mapping[str, str]) -> Document:
    """Read a configuration. Raises ConfigurationError for bad YAML, duplicate keys and variables that are not set.

    The `environment_variables` of a LiteLLM file go before those of `env`.
    """
    try:
        value, lines = _loaded(text, file)
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        raise _not_yaml(file, mark.line + 1 if mark else 1, problem.problem or problem.context) from None
    except yaml.reader.ReaderError as problem:
        raise _not_yaml(file, text.count("\n", 0, problem.position) + 1, problem.reason) from None
    except RecursionError:
        raise _not_yaml(file, 1, "something in it is nested too deeply, or in itself") from None
    document = Document(file, value, lines)
    own = value.get(_OWN_VARIABLES) if isinstance(value, dict) else None
    if isinstance(own, dict):
        filled = _filled(document, own, _OWN_VARIABLES, env)
        env = {**env, **{str(name): str(text) for name, text in filled.items()}}
    document.value = _filled(document, value, "", env)
    return document


def _not_yaml(file: str, line: int, reason: str | None) -> ConfigurationError:
    return ConfigurationError(f"{file}:{line}: not YAML: {reason}")


def _loaded(text: str, file: str) -> tuple[Any, dict[str, int]]:
    """Plain data, and the line of every path in it."""
    loader = _CoreLoader(text)
    lines: dict[str, int] = {}
    try:
        node = loader.get_single_node()
        if node is None:
            return None, lines
        _walk(node, "", lines, file)
        return loader.construct_document(node), lines
    finally:
        loader.dispose()


Kind = TypeVar("Kind")


def convert(document: Document, kind: type[Kind], *, value: Any = None, at: str = "") -> Kind:
    """The document as a Struct, or the `value` that stands in it `at` a path.

    Raises ConfigurationError that names file, line, key, what is wrong and the nearest name.

    A number or a truth value may be written as text, which is how it comes out of an environment variable.
    """
    try:
        whole = value if at else document.value
        return msgspec.convert({} if whole is None else whole, kind, strict=False)
    except msgspec.ValidationError as problem:
        message, _, where = str(problem).partition(" - at `")
        inner = re.sub(r"^(?:key` in `)?\$\.?|\[\.\.\.\]`$|`$", "", where)
        path = f"{at}.{inner}".strip(".")
        unknown = re.search(r"unknown field `([^`]*)`", message)
        if unknown is None:
            raise document.error(path, message[0].lower() + message[1:]) from None
        name = unknown.group(1)
        place = f"{path}.{name}" if path else name
        raise document.error(place, f"unknown key{_nearest(name, kind, inner)}") from None


def _nearest(name: str, kind: type[Any], path: str) -> str:
    for step in re.findall(r"[^.\[\]]+", path):
        if not step.isdigit():
            kind = _struct_in(next(field.type for field in msgspec.structs.fields(kind) if field.encode_name == step))
    names = [field.encode_name for field in msgspec.structs.fields(kind)]
    close = get_close_matches(name, names, n=1)
    return f"; did you mean {close[0]}?" if close else f"; the keys here are: {', '.join(names)}"


def _struct_in(kind: Any) -> Any:
    """The Struct inside `tuple[X, ...]`, `dict[str, X]` or `X | None`."""
    inner = [_struct_in(part) for part in get_args(kind)]
    return (
        next((part for part in inner if part is not None), None) if inner else kind if isinstance(kind, type(Struct)) else None
    )


def _walk(node: Any, path: str, lines: dict[str, int], file: str) -> None:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            line = key.start_mark.line + 1
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
            below = f"{path}.{name}" if path else name
            if below in lines:
                raise ConfigurationError(f"{file}:{line}: {below}: this key stands twice; the first is on line {lines[below]}")
            lines[below] = line
            _walk(value, below, lines, file)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _walk(item, f"{path}[{index}]", lines, file)


def _filled(document: Document, value: Any, path: str, env: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(document, item, f"{path}.{key}" if path else str(key), env) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(document, item, f"{path}[{index}]", env) for index, item in enumerate(value)]
    if isinstance(value, str) and value.startswith(_ENVIRONMENT):
        name = value.removeprefix(_ENVIRONMENT)
        if not env.get(name, "").strip():  # an empty one is no key: least of all the gateway's own
            raise document.error(path, f"the environment variable {name} is {'empty' if name in env else 'not set'}")
        return env[name]
    return value
