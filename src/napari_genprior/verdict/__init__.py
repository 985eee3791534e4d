"""Can the result be trusted? A first judgement from the result alone: no truth is needed."""

from __future__ import annotations

import torch
from torch import Tensor

from .classical.known_kernel import noise_std, residual_std
from .result import Status, StatusCode, Verdict

POINT_PEAK = 0.9  # a kernel with this share of its mass in one pixel undoes next to nothing
BORDER_MASS = 0.05  # more than this in the outermost ring: the support was too small
UNEXPLAINED = 3.0  # residual over noise; a fair fit stays near 1, whitened borders and textures near 2
RESIDUAL_FLOOR = 0.01  # fraction of the range; below it a misfit is invisible even where there is no noise


def judge(blurred: Tensor, image: Tensor, kernel: Tensor, status: Status, kernel_given: bool) -> Verdict:
    """Judge a result.

    Parameters
    ----------
    blurred, image : Tensor [1, C, Y, X]
        Working units.
    kernel : Tensor [1, 1, kh, kw]
    kernel_given : bool
        The user vouches for the kernel: its shape is not questioned.

    Returns
    -------
    Verdict
        ``figures``: residual and noise (standard deviations, fraction of the range), kernel_peak,
        kernel_width_px (root mean square distance from its centre of mass, twice), kernel_border_mass,
        sharpness_gain (root mean square gradient, result over input, the input's noise taken off).
    """
    noise = float(noise_std(blurred).mean())
    # white noise adds 2 sigma^2 to each mean square difference: it must not pass for sharpness
    before = max(_gradient_energy(blurred) - 4 * noise**2, 1e-12)
    figures = {
        "residual": residual_std(blurred, image, kernel),
        "noise": noise,
        "kernel_peak": float(kernel.max()),
        "kernel_width_px": _width(kernel),
        "kernel_border_mass": _border_mass(kernel),
        "sharpness_gain": (_gradient_energy(image) / before) ** 0.5,
    }
    improved, reason = _judgement(figures, status, kernel_given)
    return Verdict(improved, reason, {name: round(value, 5) for name, value in figures.items()})


def _judgement(f: dict[str, float], status: Status, kernel_given: bool) -> tuple[bool, str]:
    if status.code is StatusCode.DIVERGED:
        return False, "The search diverged; the result is not to be trusted."
    if f["residual"] > max(UNEXPLAINED * f["noise"], RESIDUAL_FLOOR):
        return False, (
            f"The kernel does not explain the picture: residual {f['residual']:.4f} of the range, "
            f"noise {f['noise']:.4f}."
        )
    if not kernel_given and f["kernel_peak"] > POINT_PEAK:
        return (
            False,
            "The kernel found is nearly a single point: the picture is sharp or its blur not found.",
        )
    if not kernel_given and f["kernel_border_mass"] > BORDER_MASS:
        return False, (
            f"The kernel runs into its border ({f['kernel_border_mass']:.0%} of its mass there): "
            "try a larger kernel size."
        )
    if f["sharpness_gain"] <= 1:
        return False, "The result is no sharper than the input."
    return True, (
        f"The kernel ({f['kernel_width_px']:.1f} px wide) explains the picture to {f['residual']:.4f} of the range "
        f"(noise {f['noise']:.4f}); gradients are {f['sharpness_gain']:.2f} times as strong."
    )


def _width(kernel: Tensor) -> float:
    k = kernel[0, 0].double()
    k = k / k.sum()
    y, x = torch.arange(k.shape[0], dtype=torch.float64)[:, None], torch.arange(k.shape[1], dtype=torch.float64)
    spread = (k * (y - (k * y).sum()) ** 2).sum() + (k * (x - (k * x).sum()) ** 2).sum()
    return 2 * float(spread.clamp(min=0).sqrt())


def _border_mass(kernel: Tensor) -> float:
    inner = kernel[..., 1:-1, 1:-1].sum() if min(kernel.shape[-2:]) > 2 else torch.zeros(())
    # a kernel of 1 or 3 pixels is all border: it cannot be said to run into it
    return float(1 - inner / kernel.sum()) if min(kernel.shape[-2:]) > 3 else 0.0


def _gradient_energy(image: Tensor) -> float:
    return float(image.diff(dim=-1).square().mean() + image.diff(dim=-2).square().mean())
