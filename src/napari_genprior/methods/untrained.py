"""Recipe of algorithm 3 of Asim 2020: an untrained image network with a pretrained kernel generator.

References
----------
"Asim 2020": Asim, Shamshad and Ahmed, Blind image deconvolution using deep generative priors, IEEE TCI 2020.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

from ..core.arrays import cpu_generator
from ..nets.dcgan_decoder import Decoder
from ..operators.data_fidelity import summed_squared_error
from ..priors.base import Prior, trainable
from ..priors.generator import GeneratorPrior
from ..priors.objective import Term
from ..priors.penalties import total_variation
from ..priors.pixels import Known
from ..priors.untrained import CODE, UntrainedNetwork
from ..settings import DecoderSettings
from ..settings import untrained as constants
from ..settings.untrained import DECODER, DecoderSchedule
from .base import Problem, Recipe, Snapshot
from .deep_prior import DeepSearch, RunSlice
from .ensemble import Outcome, ensemble


def untrained(problem: Problem) -> Recipe:
    """Run algorithm 3: untrained DCGAN for the image, pretrained generator for the kernel (Asim 2020, section IV-E).

    ``min over z_i, z_k, W of |y - G_I(z_i, W) * G_K(z_k)|^2 + kappa |z_k|^2 + nu |G_I(z_i, W)|_tv`` (eq. 11), sums
    over pixels and channels, after W was fitted to the blurred image (eq. 12); Adam, with separate learning rates for
    latents and weights.

    Notes
    -----
    The article does not state kappa, nu and the network's width; see ``settings/untrained.py``. It assumes a periodic
    boundary; here the network represents the scene beyond the border as well, so that no boundary is assumed. Its
    pseudo-code updates all three unknowns from the same point, as one Adam over all of them does.
    """
    s = problem.settings
    assert isinstance(s, DecoderSettings)
    c = DECODER[s.schedule]
    c = replace(c, steps=s.steps or c.steps)
    return (yield from ensemble(problem, lambda one, end: _run(one, c, end)))


def _run(problem: Problem, c: DecoderSchedule, end: float) -> Generator[Snapshot, None, Outcome]:
    """Run the algorithm once, until a time on the monotonic clock."""
    s, blurred = problem.settings, problem.blurred
    assert isinstance(s, DecoderSettings)
    channels, height, width = blurred.shape[1:]

    def image(size: tuple[int, int]) -> Prior:
        return UntrainedNetwork(
            lambda: Decoder(channels, size, constants.LATENT, c.width, constants.WIDEST),
            code_shape=(constants.LATENT,),
            latent=True,
            device=blurred.device,
        )

    kernel: Prior
    if problem.kernel is not None:
        kernel, support = Known(problem.kernel), (problem.kernel.shape[-2], problem.kernel.shape[-1])
    else:
        assert problem.kernel_prior is not None
        kernel, support = GeneratorPrior(problem.kernel_prior), problem.kernel_prior.card.size[:2]
    terms = {
        "misfit": Term(lambda e: summed_squared_error(e.model, e.data)),
        "kernel ridge": Term(lambda e: 2 * e.kernel_penalty, constants.KERNEL_LATENT_WEIGHT),
        "total variation": Term(
            lambda e: e.image[0].numel() * total_variation(e.image, isotropic=False), constants.TOTAL_VARIATION
        ),
    }
    run_slice = RunSlice("Image and kernel", 0, c.steps, s.report_every, (height, width), end, problem.checkpoint)
    search = DeepSearch(blurred, image, kernel, support, terms, cpu_generator(problem.seed), run_slice)
    yield from search.fit_image(blurred, constants.FIRST_FIT_RATE, constants.FIRST_FIT_STEPS)  # eq. 12
    block = search.objective.image_block
    latents = [block[CODE], *trainable(search.objective.kernel_block)]
    weights = [tensor for name, tensor in block.items() if name != CODE]
    yield from search.run(((latents, c.rate), (weights, c.weight_rate)), c.steps)
    return search.outcome(problem, c.final_deconvolution)
