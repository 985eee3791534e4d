"""Deblur a photograph: watch the search, read the verdict, keep the result and what made it.

python examples/photograph.py [PICTURE] -o OUT.png

Without an image, the sample photograph of a clock is taken (real camera motion; nobody knows the kernel).
"""

from __future__ import annotations

import argparse

import napari_genprior as gp
from napari_genprior import samples
from napari_genprior.core.image_io import as_type, read_image, write_image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image", nargs="?")
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("--seconds", type=float, help="the best by then is taken")
    chosen = parser.parse_args()
    image = read_image(chosen.image) if chosen.image else samples.clock()
    progress = gp.iter_deblur(image, time_limit_s=chosen.seconds)
    while True:
        try:
            snapshot = next(progress)
        except StopIteration as end:
            result: gp.DeblurResult = end.value
            break
        print(f"{snapshot.fraction:4.0%} {snapshot.stage}")
    print(result.verdict.sentence)
    write_image(chosen.output, as_type(result.image, image.dtype))
    result.save(f"{chosen.output}.npz")  # image, kernel, history and provenance; gp.DeblurResult.load reads it


if __name__ == "__main__":
    main()
