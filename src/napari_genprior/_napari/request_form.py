"""What all widgets that deblur ask a user: the image, the method, its settings, time, seed and device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari.components import ViewerModel
from napari.layers import Image
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QSpinBox, QVBoxLayout, QWidget

from ..core.arrays import available_devices
from ..core.errors import InputError
from ..methods.registry import METHODS, Method
from ..pipeline.request_export import DEFAULTS
from ..pipeline.spatially_varying import MOST_TILES
from ..settings import VolumeSettings
from . import layers as _layers
from .common_widgets import Advanced, LayerCombo, budget_slider, seed_box
from .field_editors import get_value, rich, set_value
from .layers import Picked
from .plane_runs import PLANES, SELECTED, THIS, Job, count_for, jobs_for
from .preferences import preferences
from .settings_form import FormPairs, Rows, SettingsForm
from .stack_run import WISHES, arguments_for, axes_of, data_of, told_of
from .varying_run import CHANGING, TILES
from .workers import Running

WIDER = ("axes", "kernels", "depth", "voxel_um", "tiles")


class RequestForm(Running):
    """The upper half of a widget. A widget adds what its methods want to know."""

    in_sight: tuple[str, ...] = ("steps",)  # settings that are not folded away
    chosen_apart: tuple[str, ...] = ()  # settings for which the widget has choices of its own

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._methods = {name: method for name, method in METHODS.items() if self.offers(method)}

    # what a widget adds

    def offers(self, method: Method) -> bool:
        """To be overridden: whether a method is in the widget's list."""
        raise NotImplementedError

    def add_choices(self, column: QVBoxLayout) -> None:
        """To be overridden: put the widget's own choices into ``self.form`` or below it, into ``column``."""

    def own_arguments(self) -> dict[str, Any]:
        """To be overridden: more arguments of ``planning.plan``."""
        return {}

    def show_choices(self, method: Method) -> None:
        """To be overridden: show those of the widget's own choices that matter to a method."""

    def lacking(self, picked: Picked) -> str:
        """To be overridden: what a run still needs; may raise GenPriorError."""
        return ""

    def show_own(self, request: Mapping[str, Any]) -> None:
        """To be overridden: let the widget's own choices show a request, settings among its entries."""

    def soon(self, *_: Any) -> None:
        """To be overridden: the request has changed."""

    def build_request(self) -> None:
        self.image = LayerCombo(self._viewer, _layers.is_image, _layers.looks_like_image)
        self.method = QComboBox()
        for method in self._methods.values():
            self.method.addItem(method.name, method.name)
            self.method.setItemData(self.method.count() - 1, rich(method.summary), Qt.ItemDataRole.ToolTipRole)
        self.method.setCurrentIndex(self.method.findData(self.first_method()))
        self.seed = seed_box()
        self.device = QComboBox()
        self.device.addItems(["auto", *available_devices()])
        self.device.setCurrentIndex(max(0, self.device.findText(preferences().device)))
        self.budget = budget_slider()

        self.request = QWidget()
        request = QVBoxLayout(self.request)
        request.setContentsMargins(0, 0, 0, 0)
        self.form = Rows()
        self.form.add("image", "Image", self.image, "The blurred layer. Of a stack the displayed plane is used.")
        self.scope = QComboBox()
        self.scope.addItems([THIS, SELECTED, PLANES, *WISHES, CHANGING])
        self.tiles = QSpinBox()
        self.tiles.setRange(1, MOST_TILES)
        self.tiles.setValue(TILES)
        self.axes = QComboBox()
        for combo in (self.scope, self.method, self.axes):  # long names must not widen the dock
            combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.form.add("scope", "Apply to", self.scope, "Several images are done one by one, all with this request.")
        self.form.add("axes", "Axes", self.axes, "What the layer's axes mean, where its labels do not say so.")
        self.form.add("tiles", "Tiles", self.tiles, "Along each side of the image: as few as the blur allows.")
        self.form.add("method", "Method", self.method, "")
        request.addWidget(self.form)
        self.add_choices(request)
        self.advanced = Advanced()
        self._forms = FormPairs(self.in_sight, self.chosen_apart, self.advanced, self.soon)
        request.addWidget(self._forms)
        self.rest = Rows()
        self.rest.add("budget", "Time budget", self.budget, "Seconds after which the best so far is the result.")
        self.rest.add("seed", "Seed", self.seed, "Equal seeds give equal results on one machine.")
        self.rest.add("device", "Device", self.device, "Where to compute.")
        request.addWidget(self.rest)
        request.addWidget(self.advanced)

    # what the user wants

    def first_method(self) -> str:
        """The preferred one, where the widget has it."""
        preferred = preferences().method
        return preferred if preferred in self._methods else next(iter(self._methods))

    @property
    def chosen(self) -> Method:
        """The chosen method."""
        return self._methods[self.method.currentData()]

    def arguments(self) -> dict[str, Any]:
        """Arguments of ``planning.plan`` but the image, as the widget shows them."""
        in_sight, advanced = self._method_forms(self.chosen.name)
        return {
            "method": self.chosen.name,
            "seed": self.seed.value(),
            "device": self.device.currentText(),
            "time_limit_s": get_value(self.budget),
            "settings": advanced.values() | in_sight.values(),
            **self.own_arguments(),
        }

    def picked(self) -> Picked | None:
        """The chosen image; None where there is no layer."""
        layer = self.image.layer
        return None if layer is None else _layers.pick(layer, self._viewer.dims.point)

    def _method_forms(self, name: str) -> tuple[SettingsForm, SettingsForm]:
        return self._forms.pair(name, self._methods[name].settings)

    def _shown_forms(self) -> tuple[SettingsForm, SettingsForm]:
        """The settings that matter to what is wished."""
        return self._forms.pair("volumes", VolumeSettings) if self.volumes else self._method_forms(self.chosen.name)

    def jobs(self) -> list[Job]:
        """The runs that the request asks for; none where there is no layer."""
        layer, selected = self.image.layer, self._viewer.layers.selection
        in_order = [each for each in self._viewer.layers if each in selected]
        return [] if layer is None else jobs_for(self.scope.currentText(), layer, in_order, self._viewer.dims.point)

    @property
    def whole(self) -> bool:
        """Whether a stack is to be done in one run: planes that share kernels, or volumes."""
        return self.scope.currentText() in WISHES

    @property
    def changing(self) -> bool:
        """Whether the blur changes over the image: a kernel for each of its tiles."""
        return self.scope.currentText() == CHANGING

    @property
    def volumes(self) -> bool:
        """Whether depth is space; volumes have settings of their own, whatever the method."""
        return WISHES.get(self.scope.currentText(), {}).get("depth") == "volume"

    @property
    def kernel_axes(self) -> int:
        """How many axes a kernel layer has: a plane, a volume, or planes for rows and columns of tiles."""
        return 4 if self.changing else 3 if self.volumes else 2

    def varying_request(self) -> dict[str, Any]:
        """Arguments of ``plan_varying`` but the image."""
        return {**self.arguments(), "tiles": (self.tiles.value(), self.tiles.value())}

    def wider_request(self) -> dict[str, Any]:
        """What of a run over a stack, or with tiles, is no argument of ``planning.plan``; else empty."""
        if self.image.layer is None or not (self.whole or self.changing):
            return {}
        request = self.stack_request()[1] if self.whole else self.varying_request()
        wider = {name: request[name] for name in WIDER if request.get(name) is not None}
        if self.volumes:
            fields = VolumeSettings.model_fields
            wider["settings"] = {n: v for n, v in request["settings"].items() if v != fields[n].get_default()}
        return wider

    def stack_request(self) -> tuple[Any, dict[str, Any]]:
        """Data and other arguments of ``plan_stack`` for the chosen layer; axes that are not told are None."""
        layer = self.image.layer
        assert layer is not None
        request = self.arguments()
        if self.volumes:
            in_sight, advanced = self._shown_forms()
            request["settings"] = advanced.values() | in_sight.values()
        return data_of(layer), arguments_for(self.scope.currentText(), layer, self.axes.currentData(), request)

    def show_axes(self) -> None:
        """Offer what the chosen layer's axes may mean; more than one reading, and none is chosen."""
        layer = self.image.layer
        self.form.show_row("axes", self.whole and layer is not None)
        self.form.show_row("tiles", self.changing and not self.chosen.needs_kernel)
        offered = [] if layer is None or not self.whole else axes_of(layer)
        if [self.axes.itemData(i) for i in range(self.axes.count())] == offered:
            return
        self.axes.blockSignals(True)
        self.axes.clear()
        self.axes.setPlaceholderText("choose what they mean")
        for axes in offered:
            self.axes.addItem(told_of(axes, layer), axes)
        self.axes.setCurrentIndex(0 if len(offered) == 1 else -1)
        self.axes.blockSignals(False)

    def count(self) -> int:
        """How many runs that would be."""
        layer = self.image.layer
        return 0 if layer is None else count_for(self.scope.currentText(), layer, self._viewer.layers.selection)

    def layers(self) -> dict[str, Image | None]:
        """The layers a run would use: "image", and "kernel" where the method takes one."""
        return {"image": self.image.layer}

    def show_arguments(self, request: Mapping[str, Any]) -> None:
        """Show what :meth:`arguments` gave earlier; what the request does not name goes to its default.

        Raises
        ------
        InputError
            The method is not this widget's, or a setting is not allowed; then nothing has changed.
        """
        name = request.get("method", self.chosen.name if "settings" in request else self.first_method())
        if name not in self._methods:
            raise InputError(f"Method {name!r} is not in this widget; it has: {', '.join(self._methods)}.")
        model = self._methods[name].settings
        apart = {field: value for field, value in request.items() if field in model.model_fields}
        settings = model.checked({**request.get("settings", {}), **apart}).model_dump()
        request = {**DEFAULTS, "device": preferences().device, **request, **settings}
        device = self.device.findText(request["device"])
        self.method.setCurrentIndex(self.method.findData(name))
        self.seed.setValue(request["seed"])
        self.device.setCurrentIndex(max(0, device))  # another machine's device may be none here
        set_value(self.budget, request["time_limit_s"])
        for form in self._method_forms(name):
            form.set_values(settings)
        self.show_own(request)

    def _method_changed(self, *_: Any) -> None:
        self._forms.show_only(self._shown_forms())
        self.show_choices(self.chosen)
        self.method.setToolTip(rich(self.chosen.summary))
        self.soon()
