"""An untrained network as a prior: its weights are optimized and, optionally, its input."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import torch
from torch import Tensor, nn
from torch.func import functional_call

from .base import Block, Prior

CODE = "code"


class UntrainedNetwork(Prior):
    """The range of a network over its weights, for one fixed random input.

    Parameters
    ----------
    build : callable
        Builds the network (convolutions, linear layers and normalizations, no buffers).
        It is called once, on torch's "meta" device: only the shapes are used.
    code_shape : tuple of int
        Shape of the network's input without the leading R; its values are uniform in ``[0, code_scale]``.
    jitter : float
        Standard deviation of the Gaussian noise that :meth:`perturbed` adds to the input, drawn anew in every step.
    latent : bool
        The input is standard normal instead, and optimized with the weights (algorithm 3 of Asim 2020).
    device : torch.device

    Raises
    ------
    ValueError
        The network has buffers.

    Notes
    -----
    Weights of several restarts are stacked along R and the networks run one after another.

    References
    ----------
    Ulyanov, Vedaldi and Lempitsky, Deep image prior, CVPR 2018. Ren et al., CVPR 2020 (SelfDeblur).
    """

    def __init__(
        self,
        build: Callable[[], nn.Module],
        code_shape: tuple[int, ...],
        jitter: float = 0.0,
        code_scale: float = 0.1,
        latent: bool = False,
        device: torch.device | str = "cpu",
    ) -> None:
        with torch.device("meta"):  # draws nothing from torch's global generator, which belongs to the user
            self.network = build()
        if any(True for _ in self.network.buffers()):
            raise ValueError(f"{type(self.network).__name__} has buffers; a pure function of its weights is needed")
        self.code_shape = code_shape
        self.jitter = jitter
        self.code_scale = code_scale
        self.latent = latent
        self.device = torch.device(device)

    def init(self, n: int, generator: torch.Generator) -> Block:
        states = []
        for _ in range(n):  # restart by restart, so that the first does not depend on n
            if self.latent:
                code = torch.randn(self.code_shape, generator=generator)
            else:
                code = self.code_scale * torch.rand(self.code_shape, generator=generator)
            states.append(initial_weights(self.network, generator) | {CODE: code})
        block = {name: torch.stack([state[name] for state in states]).to(self.device) for name in states[0]}
        return {name: tensor.requires_grad_(self.latent or name != CODE) for name, tensor in block.items()}

    def decode(self, block: Block) -> Tensor:
        return self._run(block, block[CODE])

    def perturbed(self, block: Block, generator: torch.Generator) -> Tensor:
        code = block[CODE]
        if self.jitter:
            code = code + self.jitter * torch.randn(code.shape, generator=generator).to(code)
        return self._run(block, code)

    def _run(self, block: Block, codes: Tensor) -> Tensor:
        stacked = {name: tensor.unbind() for name, tensor in block.items() if name != CODE}
        images = [
            functional_call(self.network, {name: parts[r] for name, parts in stacked.items()}, (codes[r : r + 1],))
            for r in range(len(codes))
        ]
        return torch.cat(images)


def initial_weights(network: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
    """Draw the initial weights of a network from a given generator (CPU), by torch's own rule.

    Convolutions and linear layers: weights and biases uniform in ``+-1/sqrt(fan-in)``. Normalizations: 1 and 0.
    Only shapes are read, so the network may be on the "meta" device.

    Raises
    ------
    TypeError
        A layer with weights is of another kind.
    """
    weights: dict[str, Tensor] = {}
    for path, module in network.named_modules():
        own = dict(module.named_parameters(prefix=path, recurse=False))
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            bound = prod(module.weight.shape[1:]) ** -0.5
            weights |= {name: bound * (2 * torch.rand(p.shape, generator=generator) - 1) for name, p in own.items()}
        elif isinstance(module, nn.InstanceNorm2d | nn.GroupNorm | nn.LayerNorm):
            weights |= {name: torch.full(p.shape, float(name.endswith("weight"))) for name, p in own.items()}
        elif own:
            raise TypeError(f"no rule to initialize the weights of {type(module).__name__}")
    return weights
