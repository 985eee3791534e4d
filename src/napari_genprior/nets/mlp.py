"""The fully connected network whose structure alone acts as a prior on kernels.

References
----------
Ren, Zhang, Wang, Hu and Zuo, Neural blind deconvolution using deep priors, CVPR 2020 (SelfDeblur).
"""

from __future__ import annotations

from torch import Tensor, nn


class KernelMLP(nn.Module):
    """A network of two dense layers that maps a code ``[R, inputs]`` to kernels ``[R, 1, kh, kw]``, > 0, sum 1.

    Parameters
    ----------
    kernel_shape : (kh, kw)
        Rows and columns of the kernel.
    inputs, hidden : int
        Lengths of the code and of the hidden layer (SelfDeblur: 200 and 1000).

    Notes
    -----
    Linear, ReLU6, linear, softmax over the pixels.
    """

    def __init__(self, kernel_shape: tuple[int, int], inputs: int = 200, hidden: int = 1000) -> None:
        super().__init__()
        self.kernel_shape = kernel_shape
        self.layers = nn.Sequential(
            nn.Linear(inputs, hidden), nn.ReLU6(), nn.Linear(hidden, kernel_shape[0] * kernel_shape[1])
        )

    def forward(self, code: Tensor) -> Tensor:
        """Map a code ``[R, inputs]`` to kernels ``[R, 1, kh, kw]``."""
        return self.layers(code).softmax(dim=-1).view(-1, 1, *self.kernel_shape)
