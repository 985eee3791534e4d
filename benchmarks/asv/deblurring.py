"""Measure speed and peak memory of the main runs, one thread each."""

import numpy as np
import torch

import napari_genprior as gp


def _blurred(side: int) -> tuple[np.ndarray, np.ndarray]:
    sharp = np.tile(gp.samples.cat()[..., 1], (3, 3))[:side, :side]
    kernel = gp.blur.motion(length=15, angle_deg=30)
    return gp.simulate(sharp, kernel=kernel, noise=0.01, seed=0).blurred, kernel


class Image:
    """Deblur one grey image."""

    params = (256, 1024)
    param_names = ("side_px",)
    repeat = 3
    number = 1
    timeout = 300

    def setup(self, side):
        torch.set_num_threads(1)
        self.blurred, self.kernel = _blurred(side)

    def time_known_kernel(self, side):
        gp.known_kernel(self.blurred, self.kernel)

    def peakmem_known_kernel(self, side):
        gp.known_kernel(self.blurred, self.kernel)

    def time_kernel_size_given(self, side):
        gp.deblur(self.blurred, kernel_size=17)


class Volume:
    """Deconvolve a small volume."""

    repeat = 3
    number = 1
    timeout = 300

    def setup(self):
        torch.set_num_threads(1)
        random = np.random.default_rng(0)
        self.volume = random.poisson(20, (32, 96, 96)).astype(np.float32)
        self.kernel = np.ones((5, 5, 5))

    def time_known_kernel(self):
        gp.deblur(self.volume, kernel=self.kernel)

    def peakmem_known_kernel(self):
        gp.deblur(self.volume, kernel=self.kernel)
