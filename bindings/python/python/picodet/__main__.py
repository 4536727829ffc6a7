"""The command ``picodet``, also as ``python -m picodet``."""

from __future__ import annotations

import signal
import sys

from . import _picodet


def main() -> int:
    """Runs the command with the arguments of the process and returns its exit code."""
    # Python's handler would keep Ctrl-C until the command has ended.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _picodet.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
