"""*Train a prior*: from a layer to a prior in every list; stop and resume; what cannot be trained."""

from __future__ import annotations

import numpy as np
import pytest

from napari_genprior._napari.generator_widget import GeneratorWidget
from napari_genprior._napari.train_widget import TrainWidget
from napari_genprior.zoo.store import load_prior


@pytest.fixture
def widget(qtbot, viewer, install):
    made = TrainWidget(viewer)
    made.folder = install.folder
    made.patch_size.setValue(16)
    qtbot.addWidget(made)
    return made


@pytest.fixture
def stack(viewer):
    """Sixteen planes of two shades that move: 64 patches of 16 px."""
    wave = np.sin(np.arange(32) / 5.0 + np.arange(16)[:, None])
    planes = 0.5 + 0.2 * (wave[:, :, None] + wave[:, None, :])
    return viewer.add_image((planes * 255).astype(np.uint8), name="sharp")


def test_a_stack_becomes_a_prior_that_is_offered(widget, viewer, stack, finish, qtbot, wait_until):
    wait_until(lambda: "64 patches of 16x16 px" in widget.sentence.text())
    widget.licence.setText("CC0")
    widget.train_or_stop()
    finish(widget)
    assert "my-prior is ready" in widget.outcome.text(), widget.outcome.text()
    assert not widget.sheet.pixmap().isNull()
    prior = load_prior("my-prior")
    assert prior.card.license_data == "CC0"
    assert prior.card.size == (16, 16)
    viewer.add_image(np.random.default_rng(0).random((16, 16)), name="blurred")
    other = GeneratorWidget(viewer)
    qtbot.addWidget(other)
    assert other.image_prior.name == "my-prior"


def test_a_stopped_training_can_be_resumed(widget, stack, finish, wait_until):
    widget.arch.setCurrentText("vae")
    widget.minutes.setValue(0.1)
    widget.train_or_stop()
    assert widget.button.text() == "Stop"
    wait_until(lambda: "Step 2" in widget.stage.text() or "Step 3" in widget.stage.text())
    widget.train_or_stop()
    finish(widget)
    assert "resumes from here" in widget.outcome.text()
    assert (widget.folder / "my-prior.checkpoint").exists()
    assert not (widget.folder / "my-prior.json").exists()
    assert widget.button.text() == "Train"


@pytest.mark.parametrize(
    ("name", "words"), [("My Prior", "name"), ("taken", "There is a model taken"), ("../out", "name")]
)
def test_names_that_are_not_allowed_are_refused(widget, stack, install, finish, name, words):
    install("taken", (1, 16, 16))
    widget.name.setText(name)
    widget.train_or_stop()
    finish(widget)
    assert widget.outcome.kind == "bad"
    assert words in widget.outcome.text()


def test_too_few_patches_cannot_be_trained_on(widget, viewer, wait_until):
    assert not widget.button.isEnabled()
    viewer.add_image(np.zeros((40, 40)), name="one")
    wait_until(lambda: "4 patches" in widget.sentence.text())
    assert "8 are needed" in widget.sentence.text()
    assert not widget.button.isEnabled()
