"""Read the user's choices on napari's Preferences page for this plugin: initial values of the widgets."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from napari.settings import get_plugin_settings

PLUGIN = "napari-genprior"


@dataclass(frozen=True)
class Preferences:
    """Values of the Preferences page; these defaults hold where the plugin is not registered (in a script)."""

    method: str = "auto"
    device: str = "auto"
    threads: int = 0  # 0: torch's own choice


def preferences() -> Preferences:
    """Return the current preferences."""
    try:
        page = get_plugin_settings(PLUGIN).deblurring
    except KeyError:
        return Preferences()
    return Preferences(page.method, page.device, page.threads)


def use_threads() -> None:
    """Set the number of torch threads to the preferred one."""
    threads = preferences().threads
    if threads:
        torch.set_num_threads(threads)
