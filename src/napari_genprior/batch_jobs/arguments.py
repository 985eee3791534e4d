"""Check the arguments of a batch, which are the same for all of its files."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from ..core.errors import InputError
from ..core.provenance import array_hash
from ..pipeline.request import Request, RequestArguments, parse_request
from ..zoo.store import load_prior


def check_names(function: str, arguments: Mapping[str, Any]) -> None:
    """Raise the TypeError of a call with an unknown keyword argument, as if ``function`` named all of them."""
    known = RequestArguments.__annotations__
    for name in arguments:
        if name not in known:
            similar = get_close_matches(name, known, n=1)
            hint = f"; did you mean {similar[0]!r}?" if similar else ""
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}{hint}")


def check_jobs(jobs: int, cluster: str | None) -> None:
    """Raise InputError unless ``jobs`` is a whole number >= 1, and 1 where there is a cluster."""
    if isinstance(jobs, bool) or not isinstance(jobs, int) or jobs < 1:
        raise InputError(f"jobs must be a whole number >= 1; got {jobs!r}.")
    if cluster and jobs > 1:
        raise InputError("Give jobs or cluster, not both: the workers of the cluster process the files.")


def checked_request(given: dict[str, Any], cluster: str | None) -> tuple[dict[str, Any], Request]:
    """Check the arguments of ``deblur``; return them with the kernel read, and the request that they make."""
    # the devices of the workers are unknown here, so the request is checked for the CPU
    request = parse_request(**(given | {"device": "cpu"} if cluster else given))
    if request.kernel is not None:  # read once, also where it is given as a path
        given = {**given, "kernel": request.given_kernel}
    if request.mask is not None:
        given = {**given, "mask": request.mask}
    return given, request


def plain_request(request: Request) -> dict[str, Any]:
    """Return a request as plain values, without the device, which does not change results."""
    names = {field: getattr(request.settings, field, None) for field in ("image_prior", "kernel_prior")}
    return {
        "method": request.method.name,
        "settings": request.settings.model_dump(mode="json"),
        "kernel_size": None if request.kernel_size is None else list(request.kernel_size),
        "kernel_sha256": None if request.kernel is None else array_hash(request.kernel),
        "optics": None if request.optics is None else request.optics.given,
        "mask_sha256": None if request.mask is None else array_hash(request.mask),
        "dtype": request.dtype,
        "seed": request.seed,
        "time_limit_s": request.time_limit_s,
        "axes": None if request.axes is None else list(map(str, request.axes)),
        "kernel_per": request.kernel_per,
        "mode": request.mode,
        "tiles": None if request.tiles is None else list(request.tiles),
        "tile_size": (request.tile_size or "auto") if request.tiled else None,
        "voxel_size_um": None if request.voxel_size_um is None else list(request.voxel_size_um),
        "priors": {field: load_prior(name).card.sha256 for field, name in names.items() if name},
    }
