"""Image and kernel quality metrics, optionally after alignment.

Blind deconvolution determines image and kernel up to a shift: ``x`` and ``k`` shifted in opposite directions explain a
blurred image equally well. Metrics of blind results are therefore taken at the best shift.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import fftconvolve
from skimage.metrics import structural_similarity

from .core.errors import InputError

SHIFT_STEP_PX = 0.25  # of the sub-pixel alignment (published Levin protocol)
LEVIN_CROP_PX, LEVIN_SHIFT_PX = 15, 5


def psnr(
    estimate: np.ndarray,
    truth: np.ndarray,
    align: bool = False,
    peak: float | None = None,
    crop: int = 0,
    max_shift: float = 5,
) -> float:
    """Compute the peak signal-to-noise ratio in dB, ``10 log10(peak^2 / mean squared error)``.

    Parameters
    ----------
    estimate, truth : array [Y, X] or [Y, X, C]
        Same shape and intensity scale.
    align : bool
        Align ``estimate`` to ``truth`` first, see :func:`align`.
    peak : float, optional
        By default 255 for uint8 truths, 1 for floats within [0, 1], otherwise the truth's maximum.
    crop : int
        Width of the border that is left out, in pixels.
    max_shift : float
        Largest shift of the alignment in pixels.

    Returns
    -------
    float
        Infinite for equal images.

    Raises
    ------
    InputError
        The shapes differ, or nothing is left inside the crop.

    Examples
    --------
    >>> import napari_genprior as gp
    >>> sim = gp.simulate(gp.samples.cells()[:64, :64], gp.blur.motion(length=5), noise=0.01, seed=0)
    >>> round(gp.metrics.psnr(sim.blurred, sim.sharp), 1)
    35.6
    """
    top = _peak(np.asarray(truth)) if peak is None else peak
    estimate, truth = _comparable(estimate, truth, align, crop, max_shift)
    error = np.mean((_inside(estimate, crop) - _inside(truth, crop)) ** 2)
    return float(10 * np.log10(top**2 / error)) if error else float("inf")


def ssim(
    estimate: np.ndarray,
    truth: np.ndarray,
    align: bool = False,
    peak: float | None = None,
    crop: int = 0,
    max_shift: float = 5,
) -> float:
    """Compute the structural similarity, at most 1 (equal): Gaussian window of sigma 1.5 (11x11), mean over pixels.

    The parameters are those of :func:`psnr`. Windows beyond the border of the cropped image are left out.

    References
    ----------
    Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment", IEEE Trans. Image Processing 13(4), 2004.

    Examples
    --------
    >>> import napari_genprior as gp
    >>> sim = gp.simulate(gp.samples.cells()[:64, :64], gp.blur.motion(length=5), noise=0.01, seed=0)
    >>> round(gp.metrics.ssim(sim.blurred, sim.sharp), 2)
    0.85
    """
    top = _peak(np.asarray(truth)) if peak is None else peak
    estimate, truth = _comparable(estimate, truth, align, crop, max_shift)
    return float(
        structural_similarity(
            _inside(estimate, crop),
            _inside(truth, crop),
            data_range=top,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            channel_axis=-1 if truth.ndim == 3 else None,
        )
    )


def align(
    estimate: np.ndarray, truth: np.ndarray, max_shift: float = 5, crop: int = 0
) -> tuple[np.ndarray, tuple[float, float]]:
    """Align ``estimate`` to ``truth`` by the shift with the least squared error inside the crop.

    All shifts by whole pixels are evaluated first (by FFT), then steps of 0.25 px (bilinear) around the best three.

    Parameters
    ----------
    estimate, truth : array [Y, X] or [Y, X, C]
        Same shape and intensity scale.
    max_shift : float
        Largest shift along each axis, in pixels.
    crop : int
        Width of the border that is left out, in pixels.

    Returns
    -------
    aligned : float64 array, shape of ``truth``
        ``aligned[y, x] = estimate[y + dy, x + dx]``; the nearest pixel beyond the border.
    shift : (float, float)
        ``(dy, dx)`` in pixels.

    Raises
    ------
    InputError
        The shapes differ, or nothing is left inside the crop.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_genprior as gp
    >>> sharp = gp.samples.cells()[:64, :64]
    >>> gp.metrics.align(np.roll(sharp, 1, axis=0), sharp)[1]
    (1.0, 0.0)
    """
    estimate, truth = _check_pair(estimate, truth, crop)
    reach = int(max_shift)
    fine = [i * SHIFT_STEP_PX for i in range(-int(1 / SHIFT_STEP_PX), int(1 / SHIFT_STEP_PX) + 1)]
    target = _inside(truth, crop)

    def error(dy: float, dx: float) -> float:
        return float(np.mean((_shifted(estimate, dy, dx, crop) - target) ** 2))

    errors = _whole_pixel_errors(_with_margin(estimate, reach, crop), target)
    best = [divmod(int(place), errors.shape[1]) for place in np.argsort(errors, axis=None, kind="stable")[:3]]
    near = {(row - reach + i, column - reach + j) for row, column in best for i in fine for j in fine}
    _, dy, dx = min((error(dy, dx), dy, dx) for dy, dx in near if max(abs(dy), abs(dx)) <= max_shift)
    return _shifted(estimate, dy, dx, 0), (float(dy), float(dx))


def kernel_error(estimate: np.ndarray, truth: np.ndarray, max_shift: float = 10) -> float:
    """Compute the relative error of a kernel at the best shift, ``|k - k'| / |k|``: 0 is equal, about 1 unrelated.

    Kernels of different sizes are aligned at their centres and zero-padded; each is normalized to sum 1.

    Parameters
    ----------
    estimate, truth : array [kh, kw]
        >= 0, with a positive sum.
    max_shift : float
        Largest shift along each axis, in pixels.

    Examples
    --------
    >>> import napari_genprior as gp
    >>> gp.metrics.kernel_error(gp.blur.motion(length=5), gp.blur.motion(length=5))
    0.0
    """
    reach = int(np.ceil(max_shift))
    sides = [max(pair) + 2 * reach for pair in zip(estimate.shape, truth.shape, strict=True)]
    padded = [_centred(np.asarray(k, np.float64) / np.sum(k), sides) for k in (estimate, truth)]
    aligned, _ = align(padded[0], padded[1], max_shift)
    return float(np.linalg.norm(aligned - padded[1]) / np.linalg.norm(padded[1]))


def levin_score(estimate: np.ndarray, truth: np.ndarray) -> tuple[float, float, tuple[float, float]]:
    """Compute PSNR (dB), SSIM and shift by the Levin protocol: images in [0, 1], best shift, 15 px border left out."""
    aligned, shift = align(estimate, truth, LEVIN_SHIFT_PX, LEVIN_CROP_PX)
    return psnr(aligned, truth, peak=1, crop=LEVIN_CROP_PX), ssim(aligned, truth, peak=1, crop=LEVIN_CROP_PX), shift


def _check_pair(estimate: np.ndarray, truth: np.ndarray, crop: int) -> tuple[np.ndarray, np.ndarray]:
    """Convert a pair of images to float64, and check their shapes."""
    estimate, truth = np.asarray(estimate, np.float64), np.asarray(truth, np.float64)
    if estimate.shape != truth.shape:
        raise InputError(f"The images differ in shape: {estimate.shape} and {truth.shape}; they must be equal.")
    if estimate.ndim not in (2, 3) or crop < 0 or min(estimate.shape[:2]) <= 2 * crop:
        raise InputError(f"Images of shape {estimate.shape} cannot be compared inside a border of {crop} px.")
    return estimate, truth


def _comparable(
    estimate: np.ndarray, truth: np.ndarray, aligned: bool, crop: int, max_shift: float
) -> tuple[np.ndarray, np.ndarray]:
    """Check a pair of images, and align them where asked."""
    estimate, truth = _check_pair(estimate, truth, crop)
    return (align(estimate, truth, max_shift, crop)[0] if aligned else estimate), truth


def _peak(truth: np.ndarray) -> float:
    """Return the default peak value of an image, by its data type and range."""
    if truth.dtype == np.uint8:
        return 255.0
    return 1.0 if truth.dtype.kind == "f" and truth.min() >= 0 and truth.max() <= 1 else float(truth.max())


def _inside(image: np.ndarray, crop: int) -> np.ndarray:
    """Crop an image by so many pixels along each border."""
    return image[crop : image.shape[0] - crop, crop : image.shape[1] - crop]


def _with_margin(image: np.ndarray, reach: int, crop: int) -> np.ndarray:
    """Crop an image with a margin of ``reach`` pixels, the nearest pixel beyond the border."""
    rows, columns = (np.arange(crop - reach, side - crop + reach).clip(0, side - 1) for side in image.shape[:2])
    return image[rows][:, columns]


def _whole_pixel_errors(wide: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Compute the squared error between each window of ``wide`` and ``target``, up to a constant."""
    level = target.mean()  # subtracted to avoid cancellation between large numbers
    wide, target = (np.atleast_3d(image) - level for image in (wide, target))
    errors = 0.0
    for a, b in zip(np.moveaxis(wide, -1, 0), np.moveaxis(target, -1, 0), strict=True):
        errors = errors + fftconvolve(a**2, np.ones_like(b), "valid") - 2 * fftconvolve(a, b[::-1, ::-1], "valid")
    return np.asarray(errors)


def _shifted(image: np.ndarray, dy: float, dx: float, crop: int) -> np.ndarray:
    """Interpolate ``image[y + dy, x + dx]`` inside the crop: bilinear, the nearest pixel beyond the border."""
    return _shifted_along(_shifted_along(image, dy, crop, 0), dx, crop, 1)


def _shifted_along(image: np.ndarray, shift: float, crop: int, axis: int) -> np.ndarray:
    """Shift and crop an image along one axis."""
    side = image.shape[axis]
    whole = int(np.floor(shift))
    near = np.arange(crop, side - crop) + whole
    moved = np.take(image, near.clip(0, side - 1), axis)
    if part := shift - whole:
        moved = (1 - part) * moved + part * np.take(image, (near + 1).clip(0, side - 1), axis)
    return moved


def _centred(kernel: np.ndarray, sides: list[int]) -> np.ndarray:
    """Zero-pad a kernel about its centre."""
    out = np.zeros(sides)
    top, left = (side // 2 - n // 2 for side, n in zip(sides, kernel.shape, strict=True))
    out[top : top + kernel.shape[0], left : left + kernel.shape[1]] = kernel
    return out
