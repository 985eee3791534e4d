"""Blind deblurring for napari: image and kernel are estimated together, each constrained by a prior.

>>> import napari_genprior as gp
>>> sim = gp.simulate(gp.samples.cat()[:96, :96], kernel=gp.blur.motion(length=9), noise=0.01, seed=0)
>>> result = gp.deblur(sim.blurred, kernel_size=9)

Names are resolved on first use: importing the package loads neither torch nor napari.
"""

import lazy_loader

from .core.version import __version__ as __version__

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
