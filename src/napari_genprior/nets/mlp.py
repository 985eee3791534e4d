"""The fully connected network whose structure alone acts as a prior on kernels.

References
----------
Ren, Zhang, Wang, Hu and Zuo, Neural blind deconvolution using deep priors, CVPR 2020 (SelfDeblur).
"""

from __future__ import annotations

from torch import Tensor, nn


class KernelMLP(nn.Module):
    """Code ``[R, inputs]`` to kernel ``[R, 1, kh, kw]``, > 0, sum 1: linear, ReLU6, linear, softmax.

    Parameters
    ----------
    kernel_shape : (kh, kw)
    inputs, hidden : int
        Lengths of the code and of the hidden layer (SelfDeblur: 200 and 1000).
    """

    def __init__(self, kernel_shape: tuple[int, int], inputs: int = 200, hidden: int = 1000) -> None:
        super().__init__()
        self.kernel_shape = kernel_shape
        self.layers = nn.Sequential(
            nn.Linear(inputs, hidden), nn.ReLU6(), nn.Linear(hidden, kernel_shape[0] * kernel_shape[1])
        )

    def forward(self, code: Tensor) -> Tensor:
        return self.layers(code).softmax(dim=-1).view(-1, 1, *self.kernel_shape)
