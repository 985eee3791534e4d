"""What the user set on napari's Preferences page for this plugin: where the widgets begin."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from napari.settings import get_plugin_settings

PLUGIN = "napari-genprior"


@dataclass(frozen=True)
class Preferences:
    """``napari.yaml`` holds titles and defaults; here they are for a plugin that is not registered (a script)."""

    method: str = "auto"
    device: str = "auto"
    threads: int = 0  # 0: torch's own choice


def preferences() -> Preferences:
    """The user's preferences now."""
    try:
        page = get_plugin_settings(PLUGIN).deblurring
    except KeyError:
        return Preferences()
    return Preferences(page.method, page.device, page.threads)


def use_threads() -> None:
    """Let torch compute with as many threads as the user wants, from the next run on."""
    threads = preferences().threads
    if threads:
        torch.set_num_threads(threads)
