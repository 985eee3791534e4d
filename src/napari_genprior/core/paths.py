"""Tell what is at a path: the one home of that question, with one sentence where it cannot be answered."""

from __future__ import annotations

import stat
from pathlib import Path

from .errors import FileError, short_repr


def exists(path: str | Path) -> bool:
    """Tell whether there is a file, folder or anything else at ``path``; raises FileError as :func:`_mode_of`."""
    return _mode_of(path) is not None


def is_file(path: str | Path) -> bool:
    """Tell whether there is a file at ``path``; raises FileError as :func:`_mode_of`."""
    mode = _mode_of(path)
    return mode is not None and stat.S_ISREG(mode)


def is_folder(path: str | Path) -> bool:
    """Tell whether there is a folder at ``path``; raises FileError as :func:`_mode_of`."""
    mode = _mode_of(path)
    return mode is not None and stat.S_ISDIR(mode)


def same_file(first: str | Path, second: str | Path) -> bool:
    """Tell whether two paths name the same file, also through links, and names in another case."""
    if exists(first) and exists(second):
        return Path(first).samefile(second)
    return absolute(first) == absolute(second)


def absolute(path: str | Path) -> Path:
    """Return a path without links and ``..``; raises FileError where no file system takes the name."""
    try:
        return Path(path).resolve()
    except (OSError, ValueError, RuntimeError) as error:
        raise _unusable(path, error) from error


def _mode_of(path: str | Path) -> int | None:
    """Return the mode of what is at ``path``, None where there is nothing.

    Raises
    ------
    FileError
        No file system takes the name (too long, with a NUL), or a folder on the way may not be looked into.
    """
    try:
        return Path(path).stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise _unusable(path, error) from error


def _unusable(path: str | Path, error: Exception) -> FileError:
    """Make the error of a name that cannot be looked up."""
    reason = getattr(error, "strerror", None) or str(error)
    if isinstance(error, PermissionError):
        return FileError(f"No permission to look for {short_repr(str(path))}; ask for access, or give another file.")
    return FileError(f"{short_repr(str(path))} cannot be a file here: {reason}. Give another name.")
