"""The command line: `dragoman serve | chat | models | check | local pull | demo-upstream`.

An error is one line on stderr and exit status 1; `--debug` (or DRAGOMAN_DEBUG=1) shows the traceback as well.
"""

from __future__ import annotations

import os
import sys

from dragoman.core.errors import DragomanError


def main() -> None:
    """The entry point of the `dragoman` command."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1 or os.environ.get("DRAGOMAN_DEBUG", "") not in ("", "0")
    try:
        from dragoman.cli.app import app  # noqa: PLC0415 - its libraries belong to an extra
    except ImportError as missing:
        sys.exit(f"dragoman: the command line needs {missing.name}: pip install 'dragoman[gateway]'")
    try:
        app(arguments, prog_name="dragoman")
    except DragomanError as error:
        if debug:
            raise
        sys.exit(f"dragoman: {error.message}")
