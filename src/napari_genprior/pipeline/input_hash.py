"""Compute the hash that identifies the input of a run."""

from __future__ import annotations

import hashlib

import numpy as np

from ..core.provenance import array_hash
from .plan import Plan

ROWS = 1024  # of a large plane, read at once


def input_hash(plan: Plan) -> str:
    """Compute the ``input_sha256`` that the provenance of this run will record, without running it.

    Large images and stacks are read piece by piece, in the order in which the run reads them.
    """
    data, layout = plan.data, plan.layout
    if plan.single or plan.tiles is not None:
        return array_hash(np.asarray(data))
    dtype = np.dtype(data.dtype).newbyteorder("=") if plan.tiled else np.dtype(data.dtype)
    digest = hashlib.sha256(f"{dtype.str}{layout.shape}".encode())
    for group in np.ndindex(layout.groups):
        for index in layout.members(group):
            if plan.tiled:
                for top in range(0, layout.sides("Y")[0], ROWS):
                    strip = np.asarray(data[(*index, slice(top, top + ROWS))])
                    digest.update(np.ascontiguousarray(strip, dtype=dtype).data)
            else:
                digest.update(np.ascontiguousarray(layout.take(data, index)).data)
    return digest.hexdigest()
