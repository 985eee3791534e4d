"""Compare what a file declares with what it holds: a damaged or hostile header may declare any size."""

from __future__ import annotations

MAX_COMPRESSION = 4096  # ratio; deflate reaches about 1000, LZW 2700
ALWAYS_ALLOWED_BYTES = 2**20  # that any file may declare


def check_declared(declared: int, held: int, ratio: float = 1.0) -> None:
    """Raise ValueError where a header declares more bytes of pixels than ``ratio`` times the size of its file."""
    if declared > ratio * held + ALWAYS_ALLOWED_BYTES:
        raise ValueError(f"it declares some {declared} bytes of pixels, but has {held} bytes")
