"""The weights of the built-in chat model for tests: from the user's cache, fetched once if need be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dragoman.core.errors import ConfigurationError
from dragoman.local import weights


def local_weights() -> Path:
    """The file. Without network and cache the test is skipped on one line; under CI it fails."""
    try:
        return weights.pull(weights.SMOLLM2, weights.cache_directory(os.environ), say=print)
    except ConfigurationError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"NO LOCAL MODEL: {error.message}")
