"""*Deblur with generative priors*: choose priors, run, watch, cancel, and all that may be missing."""

from __future__ import annotations

import numpy as np
import pytest

from napari_genprior._napari.generator_widget import GeneratorWidget
from napari_genprior._napari.prior_texts import uses_image_prior
from napari_genprior.methods.registry import METHODS


@pytest.fixture
def widget(qtbot, viewer, slow, priors):
    made = GeneratorWidget(viewer)
    qtbot.addWidget(made)
    return made


@pytest.fixture
def blurred(viewer, image, widget):
    layer = viewer.add_image(image, name="b", scale=(0.5, 0.25), translate=(3, 4), units=("um", "um"), colormap="green")
    widget.refresh()
    return layer


def names(chooser) -> list[str]:
    return [chooser.combo.itemText(i) for i in range(chooser.combo.count())]


def brighter(image: np.ndarray, step: int) -> np.ndarray:
    return np.rint(image + 255 * step / 100).astype(np.uint8)


class TestChoices:
    """Only what fits is offered, and the user sees what it is."""

    def test_only_methods_with_image_priors(self, widget):
        offered = [widget.method.itemText(i) for i in range(widget.method.count())]
        assert offered == [name for name, method in METHODS.items() if uses_image_prior(method)]
        assert offered[0] == "slow-prior"

    def test_only_priors_that_fit_the_image(self, widget, blurred):
        assert names(widget.image_prior) == ["dots-40", "lines-40"]
        assert names(widget.kernel_prior) == ["shakes-9", "strokes-5"]
        assert widget.kernel_prior.name == "strokes-5"  # the method's default
        assert widget.run_button.isEnabled()

    def test_another_choice_shows_other_limits_and_samples(self, widget, blurred, wait_until):
        chooser = widget.image_prior
        said = chooser.limits.text()
        assert "40x48 px, grey" in said
        assert "21.2 dB" in said
        assert "images of dots-40" in said
        wait_until(lambda: chooser.samples.images is not None)
        assert chooser.samples.images.shape == (4, 40, 48)
        chooser.combo.setCurrentText("lines-40")
        assert "engravings" in chooser.limits.text()
        assert "research only" in chooser.limits.text()
        wait_until(lambda: chooser.samples.images is not None)
        widget.kernel_prior.combo.setCurrentText("shakes-9")
        assert "12.0%" in widget.kernel_prior.limits.text()

    def test_samples_are_in_colour_for_colour(self, widget, viewer, wait_until):
        viewer.add_image(np.random.default_rng(0).random((16, 16, 3)), name="c", rgb=True)
        wait_until(lambda: names(widget.image_prior) == ["faces-16"])
        wait_until(lambda: widget.image_prior.samples.images is not None)
        assert widget.image_prior.samples.images.shape == (4, 16, 16, 3)
        assert not widget.image_prior.samples.pixmap().isNull()

    def test_a_choice_stays_while_it_fits(self, widget, viewer, image, blurred, wait_until):
        widget.image_prior.combo.setCurrentText("lines-40")
        second = viewer.add_image(image[::-1], name="second")
        widget.image.choose(second)
        widget.refresh()
        assert widget.image_prior.name == "lines-40"

    def test_a_prior_installed_meanwhile_is_offered(self, widget, blurred, install):
        install("new-40", (1, 40, 48))
        widget.refresh()
        assert names(widget.image_prior) == ["dots-40", "lines-40", "new-40"]
        assert widget.image_prior.name == "dots-40"

    def test_kernels_larger_than_the_image_are_not_offered(self, widget, viewer, install):
        install("tiny-8", (1, 8, 8))
        viewer.add_image(np.random.default_rng(0).random((8, 8)), name="tiny")
        widget.refresh()
        assert names(widget.kernel_prior) == ["strokes-5"]

    @pytest.mark.parametrize("method", ["project", "relaxed"])
    def test_a_method_shows_what_matters_to_it(self, widget, blurred, method):
        widget.method.setCurrentText(method)
        in_sight, advanced = widget.method_forms(method)
        assert widget.kernel_prior.isHidden() == (method == "project")
        assert ("range_weight" in in_sight.names) == (method == "relaxed")
        assert "restarts" in in_sight.names
        assert not {"image_prior", "kernel_prior"} & {*in_sight.names, *advanced.names}


class TestNothingFits:
    """A sentence says why, and the button waits."""

    def test_no_image_yet(self, widget):
        assert "Open or choose an image layer" in widget.sentence.text()
        assert not widget.run_button.isEnabled()
        assert widget.image_prior.name == ""

    def test_the_sizes_there_are(self, widget, viewer, image, blurred):
        blurred.data = image[:30]
        widget.refresh()
        said = widget.sentence.text()
        assert "No image prior fits 30x48 px, grey" in said
        assert "40x48 px, grey (dots-40, lines-40)" in said
        assert "16x16 px, colour (faces-16)" in said
        assert not widget.run_button.isEnabled()
        assert widget.image_prior.limits.isHidden()
        blurred.data = image
        widget.refresh()
        assert widget.run_button.isEnabled()
        assert widget.image_prior.name == "dots-40"

    def test_none_is_installed(self, qtbot, viewer, image, slow, install):
        viewer.add_image(image, name="b")
        widget = GeneratorWidget(viewer)
        qtbot.addWidget(widget)
        assert "No image prior is installed" in widget.sentence.text()
        assert "genprior train" in widget.sentence.text()
        assert not widget.run_button.isEnabled()

    def test_no_kernel_prior(self, qtbot, viewer, image, slow, install):
        install("dots-40", (1, 40, 48))
        viewer.add_image(image, name="b")
        widget = GeneratorWidget(viewer)
        qtbot.addWidget(widget)
        assert "kernel_prior" in widget.sentence.text()
        assert not widget.run_button.isEnabled()

    def test_a_broken_card_is_named_in_the_log_and_spoils_no_other(self, widget, blurred, install, caplog):
        (install.folder / "broken.json").write_text("{")
        widget.refresh()
        assert "broken.json" in caplog.text
        assert widget.run_button.isEnabled()

    def test_broken_weights_are_named(self, widget, blurred, install, wait_until):
        (install.folder / "lines-40.safetensors").write_bytes(b"nonsense")
        widget.image_prior.combo.setCurrentText("lines-40")
        widget.refresh()
        assert "SHA-256" in widget.sentence.text()
        assert not widget.run_button.isEnabled()
        wait_until(lambda: "No samples" in widget.image_prior.samples.text())

    def test_an_unusable_image(self, widget, viewer, blurred, image):
        blurred.data = np.full_like(image, 7)
        widget.refresh()
        assert "constant" in widget.sentence.text()
        assert not widget.run_button.isEnabled()


class TestRun:
    """Layers, curve, cancel."""

    def test_result_kernel_generator_estimate_and_std(self, widget, viewer, slow, blurred, image, finish):
        widget.image_prior.combo.setCurrentText("lines-40")
        widget.method_forms("slow-prior")[0].set_values({"restarts": 2})
        slow.step(100)
        widget.run_button.click()
        finish(widget)
        result, kernel = viewer.layers["b deblurred"], viewer.layers["b kernel"]
        generated, spread = viewer.layers["b generator estimate"], viewer.layers["b restart std"]
        np.testing.assert_array_equal(result.data, brighter(image, 6))
        np.testing.assert_array_equal(generated.data, np.rint((image + 255 * 0.06) / 2).astype(np.uint8))
        np.testing.assert_allclose(spread.data, 2.55, rtol=1e-5)
        for layer in (result, kernel, generated, spread):
            np.testing.assert_allclose(layer.scale, blurred.scale)
            assert layer.units == blurred.units
            report = layer.metadata["genprior"]
            assert report["status"]["code"] == "done"
            settings = report["provenance"]["settings"]
            assert (settings["image_prior"], settings["kernel_prior"]) == ("lines-40", "strokes-5")
            assert settings["restarts"] == 2
        np.testing.assert_allclose(generated.translate, blurred.translate)
        assert generated.colormap.name == "green"
        assert [layer.visible for layer in (result, kernel, generated, spread)] == [True, True, False, False]
        assert viewer.layers.selection.active is result
        assert viewer.layers.index(result) > viewer.layers.index(generated)
        assert "generator estimate" in widget.verdict.text()

    def test_extras_of_a_colour_image(self, widget, viewer, slow, finish):
        layer = viewer.add_image(np.random.default_rng(0).random((16, 16, 3)), name="c", rgb=True)
        widget.image.choose(layer)
        widget.refresh()
        slow.step(100)
        widget.run_button.click()
        finish(widget)
        assert viewer.layers["c generator estimate"].rgb
        spread = viewer.layers["c restart std"]
        assert not spread.rgb
        assert spread.data.shape == (16, 16)

    def test_image_kernel_and_curve_are_live(self, widget, viewer, slow, blurred, image, wait_until, finish):
        widget.run_button.click()
        assert not widget.image_prior.combo.isEnabled()
        assert widget.plot.isHidden()
        for step in (1, 2):
            slow.step()
            wait_until(lambda step=step: f"step {step}" in widget.stage.text())
        np.testing.assert_array_equal(viewer.layers["b deblurred"].data, brighter(image, 2))
        assert widget.view.kernel[0, 0] == pytest.approx(1 / 3)
        np.testing.assert_allclose(widget.plot.curves(), [[10, 20, 30], [5, 10, 15]])
        assert widget.plot.steps == [1, 2]
        assert not widget.plot.isHidden()
        slow.step(100)
        finish(widget)
        assert widget.plot.steps == [1, 2, 3, 4, 5, 6]  # the curve stays to be looked at
        widget.run_button.click()
        assert widget.plot.steps == []
        slow.step(100)
        finish(widget)

    @pytest.mark.slow
    def test_a_low_window_shows_the_run(self, widget, slow, blurred, wait_until, finish):
        widget.resize(320, 380)
        widget.show()
        widget.run_button.click()
        slow.step()
        wait_until(lambda: widget.plot.isVisible() and not widget.plot.visibleRegion().isEmpty())
        slow.step(100)
        finish(widget)
        wait_until(lambda: not widget.plot.visibleRegion().isEmpty())

    @pytest.mark.slow
    def test_cancel_keeps_the_best_so_far(self, widget, viewer, slow, blurred, image, wait_until, finish):
        widget.run_button.click()
        slow.step(2)
        wait_until(lambda: "step 2" in widget.stage.text())
        widget.run_button.click()
        finish(widget)  # the third step is still under way
        slow.step()
        result = viewer.layers["b deblurred"]
        np.testing.assert_array_equal(result.data, brighter(image, 2))
        assert result.metadata["genprior"]["status"]["code"] == "stopped"
        assert result.metadata["genprior"]["provenance"]["settings"]["image_prior"] == "dots-40"
        assert "at step 2 of 6" in widget.verdict.text()
        assert widget.run_button.text() == "Run"
        assert widget.image_prior.combo.isEnabled()

    def test_a_failure_keeps_the_image_so_far(self, widget, viewer, slow, blurred, finish):
        slow.fail_at = 3
        slow.step(100)
        widget.run_button.click()
        finish(widget)
        assert "out of memory" in widget.verdict.text()
        assert viewer.layers["b deblurred"].metadata["genprior"]["status"]["code"] == "stopped"
        assert widget.run_button.isEnabled()

    def test_closing_the_widget_leaves_nothing_running(self, widget, viewer, slow, blurred, wait_until):
        widget.run_button.click()
        slow.step()
        wait_until(lambda: "b deblurred" in viewer.layers)
        widget.close()
        assert viewer.layers["b deblurred"].metadata["genprior"]["status"]["code"] == "stopped"
        slow.step()
        assert slow.closed.wait(20)

    @pytest.mark.slow
    @pytest.mark.parametrize("name", [name for name, method in METHODS.items() if uses_image_prior(method)])
    def test_every_method_runs_from_the_widget(self, widget, viewer, blurred, finish, name):
        widget.method.setCurrentText(name)
        for form in widget.method_forms(name):
            form.set_values({"restarts": 2, "steps": 20})
        widget.refresh()
        assert widget.run_button.isEnabled(), widget.sentence.text()
        widget.run_button.click()
        finish(widget)
        assert widget.verdict.text().startswith(("b: improved", "b: doubtful", "b: no improvement"))
        result = viewer.layers["b deblurred"]
        assert result.data.shape == blurred.data.shape
        assert result.metadata["genprior"]["provenance"]["method"] == name


def test_for_an_image_larger_than_the_priors_patches_are_suggested(qtbot, viewer, install, wait_until):
    install("dots-40", (1, 40, 48))
    install("strokes-5", (1, 5, 5), kind="kernel")
    viewer.add_image(np.random.default_rng(0).random((60, 70), np.float32), name="b")
    widget = GeneratorWidget(viewer)
    qtbot.addWidget(widget)
    assert "choose the method patches" in widget.sentence.text()
    widget.method.setCurrentText("patches")
    wait_until(lambda: widget.image_prior.name == "dots-40")
    widget.refresh()
    assert widget.run_button.isEnabled(), widget.sentence.text()
