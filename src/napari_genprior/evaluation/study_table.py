"""Which studies there are: what each varies, and what it takes where nothing is said. No torch here.

References
----------
"Asim 2018": Asim, Shamshad and Ahmed, Solving bilinear inverse problems using deep generative priors, 2018.
"Asim 2020": Asim, Shamshad and Ahmed, Blind image deconvolution using deep generative priors, IEEE TCI 2020.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Axis = Literal["restarts", "noise", "length", "sigma", "prior"]
TRUTHS = ("given", "range")  # the images as they are; those of the generator's range that are closest to them
PAIR = ("digits-28", "motion-28")


@dataclass(frozen=True)
class Study:
    """One curve of the papers.

    Attributes
    ----------
    varies : str
        The axis. "length" and "sigma" are of the blur in pixels, "prior" is the image prior.
    values : tuple of float
        Usual values of the axis; of "prior" there are none, the image priors are its values.
    blurs : tuple of str
        Kernel simulators that can be used, the usual one first.
    truths : tuple of str
        Which of :data:`TRUTHS` are blurred.
    sample_from : str
        Where images come from if none are given; empty: the image prior itself.
    """

    name: str
    varies: Axis
    values: tuple[float, ...]
    axis: str
    about: str
    blurs: tuple[str, ...] = ("shake",)
    truths: tuple[str, ...] = ("given",)
    image_priors: tuple[str, ...] = PAIR[:1]
    kernel_prior: str = PAIR[1]
    sample_from: str = ""
    schedule: Literal["fast", "paper"] = "fast"
    steps: int | None = None
    count: int = 10


BLURS = ("shake", "blur-a", "blur-b", "motion-linear", "gaussian", "defocus", "microscope")
STUDIES: dict[str, Study] = {
    study.name: study
    for study in (
        Study(
            "restarts", "restarts", (1, 2, 5, 10, 20), "restarts",
            "PSNR over the number of random restarts (Asim 2020, figure 11). Random restarts are the published "
            "schedule's; by default it takes 300 steps here, not thousands.",
            blurs=BLURS, schedule="paper", steps=300, count=3,
        ),
        Study(
            "noise", "noise", (0.01, 0.02, 0.05, 0.1), "noise (fraction of the range)",
            "PSNR and SSIM over the noise, 1 to 10% (Asim 2020, figure 8).",
            blurs=BLURS,
        ),
        Study(
            "blur-length", "length", (5, 10, 15, 20, 25, 28), "blur length (px)",
            "PSNR and SSIM over the length of the blur (Asim 2020, figure 14).",
            blurs=("shake", "motion-linear"),
        ),
        Study(
            "latent", "prior", (), "length of the latent vector",
            "PSNR over the length of the image prior's latent vector (Asim 2020, figure 12): give a prior for each.",
            blurs=BLURS, image_priors=("digits-28", "digits-28-linear"), sample_from="digits-28",
        ),
        Study(
            "range-error", "noise", (0.01,), "PSNR of the closest range image (dB)",
            "Results on images and on the range images closest to them (Asim 2018, table 3), and PSNR of the "
            "result against PSNR of the range image.",
            blurs=BLURS, truths=TRUTHS, image_priors=("digits-28-linear",), sample_from="digits-28",
        ),
        Study(
            "gaussian", "sigma", (0.5, 1, 1.5, 2, 3, 4), "sigma of the Gaussian's long axis (px)",
            "Gaussian blurs and a prior of them (Asim 2020, figures 19 and 20).",
            blurs=("gaussian",), kernel_prior="gaussian-28",
        ),
        Study(
            "large-noise", "noise", (0.1, 0.2, 0.3, 0.4, 0.5), "noise (fraction of the range)",
            "PSNR and SSIM at 10 to 50% noise under blur A (Asim 2018, table 2).",
            blurs=("blur-a", *(blur for blur in BLURS if blur != "blur-a")), kernel_prior="blur-a-28",
        ),
    )
}  # fmt: skip
