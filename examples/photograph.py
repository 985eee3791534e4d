"""Deblur a photograph: follow the progress, read the verdict, save the result with its provenance.

    python examples/photograph.py [IMAGE] -o OUT.png

Without an image, the sample photograph of a clock is used (real camera motion of unknown kernel).
"""

from __future__ import annotations

import argparse

import napari_genprior as gp
from napari_genprior import samples
from napari_genprior.core.image_io import as_type, read_image, write_image


def main() -> None:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image", nargs="?", help="image to deblur; by default a sample photograph")
    parser.add_argument("-o", "--output", required=True, help="file of the result")
    parser.add_argument("--seconds", type=float, help="time limit; the best result until then is returned")
    options = parser.parse_args()
    image = read_image(options.image) if options.image else samples.clock()
    progress = gp.iter_deblur(image, time_limit_s=options.seconds)
    while True:
        try:
            snapshot = next(progress)
        except StopIteration as end:
            result: gp.DeblurResult = end.value
            break
        print(f"{snapshot.fraction:4.0%} {snapshot.stage}")
    print(result.verdict.sentence)
    write_image(options.output, as_type(result.image, image.dtype))
    result.save(f"{options.output}.npz")  # image, kernel, history and provenance; gp.DeblurResult.load reads it


if __name__ == "__main__":
    main()
