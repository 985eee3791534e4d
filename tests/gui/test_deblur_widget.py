"""*Deblur*: run, watch, cancel, fail, lose layers, close."""

from __future__ import annotations

import numpy as np
import pytest
from napari.utils.notifications import notification_manager

from napari_genprior._napari.deblur_widget import DeblurWidget
from napari_genprior._napari.prior_texts import uses_image_prior
from napari_genprior._napari.untrained_widget import UntrainedWidget
from napari_genprior.blur import motion
from napari_genprior.methods.registry import METHODS
from napari_genprior.simulation import simulate


@pytest.fixture
def blurred(viewer, image):
    return viewer.add_image(
        image,
        name="b",
        scale=(0.5, 0.25),
        translate=(3, 4),
        units=("um", "um"),
        colormap="green",
        contrast_limits=(2, 99),
    )


def brighter(image: np.ndarray, step: int) -> np.ndarray:
    """Return what the slow method makes of an 8-bit image."""
    return np.rint(image + 255 * step / 100).astype(np.uint8)


def test_from_a_layer_to_result_and_kernel(widget, viewer, slow, blurred, image, finish):
    assert widget.all_button.isHidden()
    slow.step(100)
    widget.seed.setValue(3)
    widget.run_or_cancel()
    finish(widget)
    result, kernel = viewer.layers["b deblurred"], viewer.layers["b kernel"]
    np.testing.assert_array_equal(result.data, brighter(image, 6))
    assert result.data.dtype == np.uint8
    np.testing.assert_allclose(result.translate, blurred.translate)
    assert result.contrast_limits == blurred.contrast_limits
    assert result.colormap.name == "green"
    assert kernel.data.sum() == pytest.approx(1)
    for layer in (result, kernel):
        np.testing.assert_allclose(layer.scale, blurred.scale)
        assert layer.units == blurred.units
        report = layer.metadata["genprior"]
        assert report["status"]["code"] == "done"
        assert report["provenance"]["seed"] == 3
        assert report["provenance"]["method"] == "slow"
        assert report["source"] == "b"
    np.testing.assert_array_equal(blurred.data, image)
    assert widget.verdict.kind in ("good", "doubt")
    assert widget.verdict.text()
    assert widget.run_button.text() == "Run"
    assert widget.run_button.isEnabled()


def test_progress_and_image_are_live(widget, viewer, slow, blurred, image, wait_until, finish):
    widget.run_or_cancel()
    assert widget.run_button.text() == "Cancel"
    assert not widget.form.isEnabled()
    slow.step()
    wait_until(lambda: "b deblurred" in viewer.layers)
    live = viewer.layers["b deblurred"]
    np.testing.assert_array_equal(live.data, brighter(image, 1))
    assert live.metadata["genprior"]["status"]["code"] == "running"
    assert "step 1" in widget.stage.text()
    assert widget.bar.value() == pytest.approx(1000 / 6, abs=1)
    slow.step(5)
    finish(widget)
    assert viewer.layers["b deblurred"] is live  # the same layer, with the final image in it
    np.testing.assert_array_equal(live.data, brighter(image, 6))
    assert len(viewer.layers) == 3


def test_cancel_answers_at_once_and_keeps_the_image_so_far(widget, viewer, slow, blurred, image, wait_until, finish):
    widget.run_or_cancel()
    slow.step(2)
    wait_until(lambda: "step 2" in widget.stage.text())
    widget.run_or_cancel()
    assert widget.run_button.text() == "Stopping..."
    finish(widget)  # while the third step is under way, which cannot be broken off
    report = viewer.layers["b deblurred"].metadata["genprior"]
    assert report["status"]["code"] == "stopped"
    np.testing.assert_array_equal(viewer.layers["b deblurred"].data, brighter(image, 2))
    assert viewer.layers["b kernel"].data[0, 0] == pytest.approx(1 / 3)
    assert "at step 2 of 6" in widget.verdict.text()
    assert widget.run_button.text() == "Run"
    slow.step()
    assert slow.closed.wait(20)


def test_a_second_widget_waits_for_its_turn(widget, viewer, slow, blurred, qtbot, wait_until, finish):
    other = DeblurWidget(viewer)
    qtbot.addWidget(other)
    widget.run_or_cancel()
    slow.step(1)
    wait_until(lambda: "step 1" in widget.stage.text())
    other.run_or_cancel()
    wait_until(lambda: "Waiting for another run" in other.stage.text())
    slow.step(100)
    finish(widget)
    finish(other)
    assert {"b deblurred", "b deblurred [1]"} <= {layer.name for layer in viewer.layers}


def test_waiting_can_be_cancelled(widget, viewer, slow, blurred, qtbot, wait_until, finish):
    other = DeblurWidget(viewer)
    qtbot.addWidget(other)
    widget.run_or_cancel()
    wait_until(slow.entered.is_set)
    other.run_or_cancel()
    wait_until(lambda: "Waiting for another run" in other.stage.text())
    other.run_or_cancel()
    finish(other)
    assert "Nothing was kept" in other.verdict.text()
    slow.step(100)
    finish(widget)
    assert "b deblurred [1]" not in viewer.layers


def test_cancel_before_the_first_image_says_so(widget, viewer, slow, blurred, wait_until, finish):
    slow.first_image = 4
    widget.run_or_cancel()
    slow.step()
    wait_until(lambda: "step 1" in widget.stage.text())
    widget.run_or_cancel()
    slow.step()
    finish(widget)
    assert "Nothing was kept" in widget.verdict.text()
    assert list(viewer.layers) == [blurred]


def test_another_kernel_of_the_run_can_be_taken(widget, viewer, slow, blurred, image, finish):
    assert widget.candidates.isHidden()
    slow.step(100)
    widget.run_or_cancel()
    finish(widget)
    assert not widget.candidates.isHidden()
    assert len(widget.candidates.buttons) == 2
    assert "lower is better" in widget.candidates.buttons[1].toolTip()
    result = viewer.layers["b deblurred"]
    widget.candidates.buttons[1].click()
    finish(widget)
    assert viewer.layers["b deblurred"] is result  # the same layer, with the image for that kernel
    assert result.metadata["genprior"]["provenance"]["method"] == "known-kernel"
    np.testing.assert_allclose(viewer.layers["b kernel"].data, 1 / 9, atol=1e-6)
    assert len(viewer.layers) == 3
    assert len(widget.candidates.buttons) == 2  # the choice is still there


def test_input_and_result_can_be_compared(widget, viewer, slow, blurred, finish, wait_until):
    assert widget.compare.isHidden()
    widget.run_or_cancel()
    assert widget.compare.isHidden()
    slow.step(100)
    finish(widget)
    assert not widget.compare.isHidden()
    result = viewer.layers["b deblurred"]
    blurred.visible = False
    widget.compare.click()
    assert (result.visible, blurred.visible) == (False, True)
    widget.compare.click()
    assert result.visible
    widget.compare.click()
    viewer.layers.remove(result)
    widget.compare.click()  # nothing left to show
    slow.step(100)
    widget.compare.setChecked(True)
    widget.run_or_cancel()
    finish(widget)
    assert not widget.compare.isChecked()
    assert viewer.layers["b deblurred"].visible


@pytest.mark.slow
def test_a_second_run_leaves_the_first_result(widget, viewer, slow, blurred, finish):
    slow.step(100)
    for _ in range(2):
        widget.run_or_cancel()
        finish(widget)
    assert {layer.name for layer in viewer.layers} == {
        "b", "b deblurred", "b kernel", "b deblurred [1]", "b kernel [1]",
    }  # fmt: skip
    assert widget.image.layer is blurred


def test_steps_and_settings_reach_the_method(widget, viewer, slow, blurred, finish):
    steps, advanced = widget.method_forms("slow")
    assert steps.names == ["steps"]
    assert advanced.names == ["gain"]
    steps.set_values({"steps": 2})
    advanced.set_values({"gain": 3e-6})
    slow.step(100)
    widget.run_or_cancel()
    finish(widget)
    settings = viewer.layers["b deblurred"].metadata["genprior"]["provenance"]["settings"]
    assert settings == {"steps": 2, "gain": 3e-6}


def test_the_kernel_size_can_be_given(widget, viewer, blurred):
    widget.kernel_size.auto.setChecked(False)
    widget.kernel_size.editor.setValue(14)
    widget.refresh()
    assert "15x15" in widget.sentence.text()


class TestErrors:
    """Each leaves the layers as they are and the widget usable."""

    @pytest.mark.parametrize(
        ("spoil", "says"),
        [
            (lambda p: np.where(p < p.max(), np.nan, p), "NaN"),
            (lambda p: np.full((30, 30), 7.0), "constant"),
            (lambda p: p[:4], "4x48"),
            (lambda p: p > 3, "data type"),
        ],
    )
    def test_an_unusable_image_is_named_in_place(self, widget, viewer, image, spoil, says):
        viewer.add_image(spoil(image.astype(np.float32)), name="bad")
        widget.refresh()
        assert says in widget.sentence.text()
        assert not widget.run_button.isEnabled()
        assert len(viewer.layers) == 1

    def test_an_image_that_is_fixed_can_be_run(self, widget, viewer, image, wait_until):
        layer = viewer.add_image(np.full((30, 30), 7.0), name="bad")
        widget.refresh()
        assert not widget.run_button.isEnabled()
        layer.data = image
        wait_until(widget.run_button.isEnabled)

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("kernel", "says"),
        [
            (np.zeros((3, 3)), "zero everywhere"),
            (-np.eye(3), "negative"),
            (np.ones((99, 99)), "larger than the image"),
            (None, "blur kernel first"),
        ],
    )
    def test_an_unusable_kernel_is_named_in_place(self, widget, viewer, blurred, kernel, says):
        if kernel is not None:
            viewer.add_image(kernel, name="kernel", units=blurred.units)
        widget.method.setCurrentText("slow-known")
        widget.refresh()
        assert says in widget.sentence.text()
        assert not widget.run_button.isEnabled()

    def test_an_error_during_the_run_is_shown_and_the_image_kept(self, widget, viewer, slow, blurred, finish):
        notes = []
        notification_manager.notification_ready.connect(notes.append)
        slow.fail_at = 3
        slow.step(100)
        widget.run_or_cancel()
        finish(widget)
        assert "out of memory" in widget.verdict.text()
        assert "was kept" in widget.verdict.text()
        assert widget.verdict.kind == "bad"
        assert any("out of memory" in note.message for note in notes)
        assert viewer.layers["b deblurred"].metadata["genprior"]["status"]["code"] == "stopped"
        slow.fail_at = None
        widget.run_or_cancel()
        finish(widget)
        assert "out of memory" not in widget.verdict.text()

    def test_an_error_at_the_start_leaves_the_layers_untouched(self, widget, viewer, slow, blurred, finish):
        slow.fail_at = 1
        slow.step(100)
        widget.run_or_cancel()
        finish(widget)
        assert widget.verdict.kind == "bad"
        assert list(viewer.layers) == [blurred]
        assert widget.run_button.isEnabled()

    def test_an_image_spoilt_after_the_check_is_refused_by_the_run(self, widget, viewer, blurred, finish):
        widget.refresh()
        blurred.data[:] = 5  # in place: no event
        widget.run_or_cancel()
        finish(widget)
        assert "constant" in widget.verdict.text()
        assert list(viewer.layers) == [blurred]


class TestLayers:
    """The choice follows the layer list, and a run outlives its layers."""

    def test_only_images_are_offered(self, widget, viewer, image):
        viewer.add_labels(image.astype(int), name="labels")
        viewer.add_points(np.zeros((2, 2)), name="points")
        assert widget.image.count() == 0
        assert not widget.run_button.isEnabled()
        viewer.add_image(image, name="image")
        assert [widget.image.itemText(i) for i in range(widget.image.count())] == ["image"]

    def test_the_choice_follows_the_list(self, widget, viewer, image):
        first, second = viewer.add_image(image, name="one"), viewer.add_image(image, name="two")
        assert widget.image.layer is first  # was the only one; another layer does not change the choice
        first.name = "uno"
        assert widget.image.currentText() == "uno"
        viewer.layers.move(0, 2)
        assert widget.image.itemText(0) == "uno"
        assert widget.image.layer is first
        viewer.layers.remove(first)
        assert widget.image.layer is second

    def test_of_a_stack_the_displayed_plane(self, widget, viewer, slow, wait_until, finish):
        stack = np.random.default_rng(0).integers(0, 128, (4, 30, 32), dtype=np.uint8)
        viewer.add_image(stack, name="s", axis_labels=("z", "y", "x"))
        viewer.dims.set_current_step(0, 2)
        wait_until(lambda: "z 2 (of 4)" in widget.sentence.text())
        slow.step(100)
        widget.run_or_cancel()
        finish(widget)
        np.testing.assert_array_equal(viewer.layers["s [z 2] deblurred"].data, brighter(stack[2], 6))

    def test_the_source_removed_during_the_run(self, widget, viewer, slow, blurred, wait_until, finish):
        widget.run_or_cancel()
        slow.step()
        wait_until(lambda: "b deblurred" in viewer.layers)
        viewer.layers.remove(blurred)
        slow.step(100)
        finish(widget)
        np.testing.assert_allclose(viewer.layers["b deblurred"].scale, (0.5, 0.25))
        assert "removed during the run" in widget.verdict.text()

    def test_the_live_layers_removed_during_the_run(self, widget, viewer, slow, blurred, image, wait_until, finish):
        widget.run_or_cancel()
        slow.step()
        wait_until(lambda: "b deblurred" in viewer.layers)
        viewer.layers.clear()
        slow.step(3)
        wait_until(lambda: "step 4" in widget.stage.text())
        assert len(viewer.layers) == 0  # what the user removed stays away until there is a result
        slow.step(100)
        finish(widget)
        result = viewer.layers["b deblurred"]
        np.testing.assert_array_equal(result.data, brighter(image, 6))
        np.testing.assert_allclose(result.scale, (0.5, 0.25))
        assert result.units == blurred.units
        assert result.metadata["genprior"]["status"]["code"] == "done"
        assert "added as a new layer" in widget.verdict.text()

    def test_a_known_kernel_from_a_layer(self, widget, viewer, slow, blurred, finish):
        viewer.add_image(np.ones((3, 5)), name="psf", units=blurred.units)
        widget.method.setCurrentText("slow-known")
        assert not widget.kernel.isHidden()
        assert widget.kernel_size.isHidden()
        widget.refresh()
        assert "given kernel of 3x5" in widget.sentence.text()
        slow.step(100)
        widget.run_or_cancel()
        finish(widget)
        assert viewer.layers["b deblurred"].metadata["genprior"]["provenance"]["arguments"]["kernel_sha256"]

    def test_what_is_done_to_a_measured_kernel_is_said_before_and_after_the_run(
        self, widget, viewer, slow, blurred, finish
    ):
        offsets = np.arange(20) - 9.5
        measured = np.round(100 + 3000 * np.exp(-(offsets[:, None] ** 2 + offsets**2) / 4))
        viewer.add_image(measured, name="psf", units=blurred.units, scale=(0.25, 0.25))
        widget.method.setCurrentText("slow-known")
        widget.refresh()
        for words in ("background", "shifted onto its centre pixel", "resampled"):
            assert words in widget.sentence.text()
        slow.step(100)
        widget.run_or_cancel()
        finish(widget)
        assert widget.remarks.text() == "The kernel was prepared in 3 steps (see the tooltip)."
        for words in ("background", "shifted onto its centre pixel", "resampled"):
            assert words in widget.remarks.toolTip()

    def test_a_kernel_layer_of_an_earlier_run_is_taken_as_it_is(self, widget, viewer, blurred):
        kernel = np.zeros((12, 12), np.float32)
        kernel[4:7, 4:7] = [[1, 2, 1], [2, 4, 2], [1, 2, 1]]
        own = {"metadata": {"genprior": {}}, "units": blurred.units, "scale": blurred.scale}
        viewer.add_image(kernel / 16, name="kernel", **own)
        widget.method.setCurrentText("slow-known")
        widget.refresh()
        assert "given kernel of 12x12" in widget.sentence.text()
        viewer.layers["kernel"].metadata.clear()
        widget.refresh()
        assert "shifted onto its centre pixel" in widget.sentence.text()


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if not uses_image_prior(method)])
def test_every_method_runs_from_the_widget(qtbot, viewer, sharp, finish, monkeypatch, name):
    monkeypatch.setattr("napari_genprior.methods.untrained.constants.FIRST_FIT_STEPS", 10)  # of 400
    made = simulate(sharp, motion(7, 30), noise=0.01)
    viewer.add_image(made.kernel, name="true kernel")
    viewer.add_image(made.blurred, name="b")
    widget = (UntrainedWidget if METHODS[name].untrained else DeblurWidget)(viewer)
    qtbot.addWidget(widget)
    widget.method.setCurrentText(name)
    usual = METHODS[name].settings.model_fields.get("kernel_prior")
    assert usual is None or widget.kernel_prior.currentData() == usual.default
    widget.kernel_size.auto.setChecked(False)
    widget.kernel_size.editor.setValue(9)
    for form in widget.method_forms(name):
        form.set_values({"steps": 10, "channels": 4, "depth": 2})
    widget.refresh()
    assert widget.run_button.isEnabled(), widget.sentence.text()
    widget.run_or_cancel()
    finish(widget)
    assert widget.verdict.text().startswith(("b: improved", "b: doubtful", "b: no improvement"))
    assert viewer.layers["b deblurred"].data.shape == sharp.shape
    assert viewer.layers["b deblurred"].metadata["genprior"]["provenance"]["method"] == name


def test_methods_with_networks_for_the_image_have_widgets_of_their_own(widget):
    offered = [widget.method.itemText(i) for i in range(widget.method.count())]
    others = {name for name, method in METHODS.items() if uses_image_prior(method) or method.untrained}
    assert offered == [name for name in METHODS if name not in others]
    assert "slow" in offered


class TestNothingStaysRunning:
    """However a run ends, its live layers say so."""

    def status(self, viewer) -> dict[str, str]:
        return viewer.layers["b deblurred"].metadata["genprior"]["status"]

    def begin(self, widget, viewer, slow, wait_until):
        widget.run_or_cancel()
        slow.step()
        wait_until(lambda: "b deblurred" in viewer.layers)
        assert self.status(viewer)["code"] == "running"

    def test_when_the_widget_is_closed(self, widget, viewer, slow, blurred, wait_until):
        self.begin(widget, viewer, slow, wait_until)
        widget.close()
        assert self.status(viewer)["code"] == "stopped"
        assert "closed during the run" in self.status(viewer)["sentence"]
        assert viewer.layers["b kernel"].metadata["genprior"]["status"]["code"] == "stopped"

    def test_when_napari_quits_its_workers(self, widget, viewer, slow, blurred, wait_until, finish):
        self.begin(widget, viewer, slow, wait_until)
        widget._worker.quit()
        slow.step(100)
        finish(widget)
        assert self.status(viewer)["code"] == "stopped"
        assert "last preview was kept" in widget.verdict.text()

    def test_when_it_fails_before_there_is_a_kernel(self, widget, viewer, slow, blurred, wait_until, finish):
        slow.first_kernel, slow.fail_at = 5, 3
        self.begin(widget, viewer, slow, wait_until)
        slow.step(100)
        finish(widget)
        assert self.status(viewer)["code"] == "stopped"
        assert "out of memory" in widget.verdict.text()

    def test_the_button_comes_back_when_the_layers_refuse(
        self, widget, viewer, slow, blurred, wait_until, finish, monkeypatch, qtbot
    ):
        def refuse(*_):
            raise ValueError("no room for a layer")

        self.begin(widget, viewer, slow, wait_until)
        monkeypatch.setattr(widget._output, "finish", refuse)
        slow.step(100)
        with qtbot.capture_exceptions() as caught:
            finish(widget)
        assert [str(error) for _, error, _ in caught] == ["no room for a layer"]
        assert widget.run_button.text() == "Run"
        assert widget.request.isEnabled()


def test_closing_the_widget_ends_the_run(widget, viewer, slow, blurred, qapp, wait_until):
    widget.run_or_cancel()
    wait_until(slow.entered.is_set)
    widget.close()
    slow.step()
    assert slow.closed.wait(20)
    qapp.processEvents()
    assert list(viewer.layers) == [blurred]  # nobody is there to see a result; no_thread_left looks at the thread


def test_closing_the_widget_before_the_thread_began(widget, viewer, slow, blurred, qapp):
    widget.run_or_cancel()
    widget.close()
    qapp.processEvents()
    assert list(viewer.layers) == [blurred]


def test_napari_quitting_its_workers_leaves_the_widget_usable(widget, slow, blurred, finish):
    widget.run_or_cancel()
    widget._worker.quit()
    slow.step(100)
    finish(widget)
    assert widget.run_button.text() == "Run"
    assert widget.run_button.isEnabled()


def test_a_kernel_prior_can_be_chosen_and_takes_the_place_of_the_size(widget, blurred):
    widget.method.setCurrentIndex(widget.method.findData("classical"))
    prior, size = widget.kernel_prior, widget.kernel_size
    assert prior.currentText() == "none"
    assert widget.arguments()["kernel_size"] == "auto"
    prior.setCurrentIndex(prior.findData("motion-28"))
    assert widget.arguments()["kernel_prior"] == "motion-28"
    assert size.isHidden()
    assert prior.findData("faces-64") == prior.findData("microscope-3d") == -1
    widget.show_arguments({"method": "classical", "kernel_size": 9})
    assert prior.currentText() == "none"
    assert not size.isHidden()
    widget.method.setCurrentIndex(widget.method.findData("known-kernel"))
    assert prior.isHidden()


@pytest.mark.slow
def test_the_sentence_says_how_long_it_will_take_and_runs_are_recorded(widget, viewer, blurred, durations, finish):
    widget.show_arguments({"method": "classical", "kernel_size": 5, "settings": {}})
    widget.refresh()
    assert "classical on cpu, about a second" in widget.sentence.text()
    widget.run_or_cancel()
    finish(widget)
    assert "classical, size given, cpu" in durations.read_text()
