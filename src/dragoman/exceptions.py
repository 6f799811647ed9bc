"""`dragoman.exceptions`: the error tree under the name by which programs written for LiteLLM reach it.

    except litellm.exceptions.RateLimitError:

The classes are those of `dragoman.core.errors`, where they are described; `APIError` is LiteLLM's name for any failure that a
provider answered with. Loaded when it is first asked for.
"""

from __future__ import annotations

from dragoman.core import errors

APIError = errors.APIStatusError

_TREE = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.DragomanError)}
globals().update(_TREE)

__all__ = sorted(["APIError", *_TREE])  # noqa: PLE0605 - a list of names, made from the tree
