"""The log file in the user's folder, with the last messages of the package, for bug reports."""

from __future__ import annotations

import logging
from logging.handlers import RotatingFileHandler
from pathlib import Path

MAX_BYTES = 200_000  # of the file; an older one of the same size is kept
LAST_LINES = 60  # in a bug report


class _Quiet(RotatingFileHandler):
    """A log handler without errors: a full disk must not stop a run."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Ignore that a record cannot be written."""


def file() -> Path:
    """Return the path of the log file."""
    from platformdirs import user_log_path

    return user_log_path("napari-genprior") / "log.txt"


def enable() -> None:
    """Write log records of the package to :func:`file` too, from now on; ignored where that is not possible."""
    package = logging.getLogger(__package__.partition(".")[0])  # records of all modules, not only of core
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
        package.setLevel(logging.INFO)  # other handlers have levels of their own


def last_lines() -> list[str]:
    """Read the last lines of the log file."""
    try:
        return file().read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:]
    except OSError:
        return []
