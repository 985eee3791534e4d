"""Training losses of generators. Every loss is a scalar: the mean over the batch."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy, softplus


def elbo(
    x: Tensor, decoded: Tensor, mean: Tensor, logvar: Tensor, beta: float = 1.0, reconstruction: str = "gaussian"
) -> dict[str, Tensor]:
    """Compute the negative evidence lower bound of a variational autoencoder, in nats per image.

    Parameters
    ----------
    x, decoded : Tensor [N, C, Y, X]
        Images, and the decoded images of their sampled latents.
    mean, logvar : Tensor [N, latent]
        Posterior of the latents.
    beta : float
        Weight of the Kullback-Leibler term.
    reconstruction : {"gaussian", "mse", "bce"}
        ``gaussian``: D/2 log(mean squared error), the likelihood of Gaussian noise of the variance that fits each
        batch best [2]_, so that the balance with the other term needs no tuning. ``mse``: half the summed squared
        error, a variance of one. ``bce``: binary cross-entropy, for ``x`` and ``decoded`` in [0, 1].

    Returns
    -------
    dict
        Scalars ``total``, ``misfit`` (the reconstruction term) and ``kl``.

    Notes
    -----
    KL(N(m, v) || N(0, 1)) = (m^2 + v - 1 - log v) / 2, summed over the latents [1]_.

    References
    ----------
    .. [1] Kingma and Welling, Auto-encoding variational Bayes, ICLR 2014, appendix B.
    .. [2] Rybkin, Daniilidis and Levine, Simple and effective VAE training with calibrated decoders, ICML 2021.
    """
    count = len(x)
    if reconstruction == "gaussian":
        misfit = x[0].numel() / 2 * ((x - decoded).square().mean() + 1e-8).log()
    elif reconstruction == "mse":
        misfit = (x - decoded).square().sum() / (2 * count)
    else:
        misfit = binary_cross_entropy(decoded.clamp(0, 1), x.clamp(0, 1), reduction="sum") / count
    kl = (mean.square() + logvar.exp() - 1 - logvar).sum() / (2 * count)
    return {"total": misfit + beta * kl, "misfit": misfit, "kl": kl}


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Compute the binary cross-entropy of the logits ``[N]`` of real images (label 1) and generated ones (label 0)."""
    return softplus(-real).mean() + softplus(fake).mean()


def generator_loss(fake: Tensor) -> Tensor:
    """Compute the non-saturating loss -log D(G(z)) from logits ``[N]`` (Goodfellow et al., NeurIPS 2014)."""
    return softplus(-fake).mean()


def psnr(x: Tensor, decoded: Tensor) -> float:
    """Compute the peak signal-to-noise ratio in dB, mean over images ``[N, C, Y, X]`` in [0, 1]."""
    return float((-10 / math.log(10) * (x - decoded).square().mean(dim=(1, 2, 3)).clamp(min=1e-12).log()).mean())


def relative_error(x: Tensor, decoded: Tensor) -> float:
    """Compute ``|decoded - x| / |x|``, mean over kernels ``[N, 1, kh, kw]``."""
    return float((torch.linalg.vector_norm((x - decoded).flatten(1), dim=1) / x.flatten(1).norm(dim=1)).mean())
