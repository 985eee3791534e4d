"""Define the studies: the quantity that each varies, and the defaults of its options. Does not import torch.

References
----------
"Asim 2018": Asim, Shamshad and Ahmed, Solving bilinear inverse problems using deep generative priors, 2018.
"Asim 2020": Asim, Shamshad and Ahmed, Blind image deconvolution using deep generative priors, IEEE TCI 2020.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Axis = Literal["restarts", "noise", "length", "sigma", "prior"]
TRUTHS = ("given", "range")  # the given images, or the closest images in the generator's range
PAIR = ("digits-28", "motion-28")


@dataclass(frozen=True)
class Study:
    """One figure or table of Asim et al.

    Attributes
    ----------
    varies : str
        The quantity on the x axis. "length" and "sigma" describe the kernel, in pixels; "prior" is the image prior.
    values : tuple of float
        Default x values; empty for "prior", whose values are the image priors.
    axis : str
        Label of the x axis.
    about : str
        Description, used as the help text of the command.
    blurs : tuple of str
        Kernel simulators that can be used, the default first.
    truths : tuple of str
        Which of :data:`TRUTHS` are blurred.
    image_priors, kernel_prior, schedule, steps, count
        Defaults of the options.
    sample_from : str
        Prior from which images are sampled if none are given; empty: the image prior itself.
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
            "Reproduce figure 11 of Asim 2020: PSNR over the number of random restarts. Random restarts belong to the "
            "published schedule, which runs 300 steps here by default, not thousands.",
            blurs=BLURS, schedule="paper", steps=300, count=3,
        ),
        Study(
            "noise", "noise", (0.01, 0.02, 0.05, 0.1), "noise (fraction of the range)",
            "Reproduce figure 8 of Asim 2020: PSNR and SSIM over the noise, 1 to 10%.",
            blurs=BLURS,
        ),
        Study(
            "blur-length", "length", (5, 10, 15, 20, 25, 28), "kernel length (px)",
            "Reproduce figure 14 of Asim 2020: PSNR and SSIM over the length of the kernel.",
            blurs=("shake", "motion-linear"),
        ),
        Study(
            "latent", "prior", (), "length of the latent vector",
            "Reproduce figure 12 of Asim 2020: PSNR over the length of the image prior's latent vector; give a prior "
            "for each length.",
            blurs=BLURS, image_priors=("digits-28", "digits-28-linear"), sample_from="digits-28",
        ),
        Study(
            "range-error", "noise", (0.01,), "PSNR of the closest range image (dB)",
            "Reproduce table 3 of Asim 2018: results on images and on the closest images in the generator's range, "
            "with the PSNR of results over the PSNR of range images.",
            blurs=BLURS, truths=TRUTHS, image_priors=("digits-28-linear",), sample_from="digits-28",
        ),
        Study(
            "gaussian", "sigma", (0.5, 1, 1.5, 2, 3, 4), "sigma of the Gaussian's long axis (px)",
            "Reproduce figures 19 and 20 of Asim 2020: Gaussian kernels, with a prior of Gaussian kernels.",
            blurs=("gaussian",), kernel_prior="gaussian-28",
        ),
        Study(
            "large-noise", "noise", (0.1, 0.2, 0.3, 0.4, 0.5), "noise (fraction of the range)",
            "Reproduce table 2 of Asim 2018: PSNR and SSIM at 10 to 50% noise under blur A.",
            blurs=("blur-a", *(blur for blur in BLURS if blur != "blur-a")), kernel_prior="blur-a-28",
        ),
    )
}  # fmt: skip
