"""The log file: what runs did and warned of, for bug reports. Small, kept in the user's folder, never in the way."""

from __future__ import annotations

import logging
from logging.handlers import RotatingFileHandler
from pathlib import Path

MAX_BYTES = 200_000  # and as much again of what was before
LAST = 60  # lines in a bug report


class _Quiet(RotatingFileHandler):
    """Says nothing where it cannot write: a full disk must not stop a run."""

    def handleError(self, record: logging.LogRecord) -> None:
        pass


def file() -> Path:
    """Where it lies."""
    from platformdirs import user_log_path

    return user_log_path("napari-genprior") / "log.txt"


def keep() -> None:
    """From now on write what the package logs to :func:`file` too; nothing happens where that is not possible."""
    package = logging.getLogger(__package__)
    if any(isinstance(handler, _Quiet) for handler in package.handlers):
        return
    try:
        file().parent.mkdir(parents=True, exist_ok=True)
        handler = _Quiet(file(), maxBytes=MAX_BYTES, backupCount=1, encoding="utf-8", delay=True)
    except OSError:
        return
    handler.setLevel(logging.INFO)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    package.addHandler(handler)
    if package.getEffectiveLevel() > logging.INFO:
        package.setLevel(logging.INFO)  # what is shown elsewhere stays as that handler has it


def last_lines() -> list[str]:
    """The end of the log."""
    try:
        return file().read_text(encoding="utf-8", errors="replace").splitlines()[-LAST:]
    except OSError:
        return []
