"""The command ``genprior``, also as ``python -m napari_genprior``."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line; Ctrl-C is one line even while it is still being loaded."""
    try:
        from .cli import main as run

        return run()
    except KeyboardInterrupt:
        sys.stderr.write("genprior: interrupted; nothing was written.\n")
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
