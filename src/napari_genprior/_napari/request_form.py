"""The form that all widgets which deblur share: image, scope, method, settings, time limit, seed and device."""

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
from ..pipeline.request_checks import MAX_TILES
from ..pipeline.request_export import DEFAULTS
from ..settings import Settings, VolumeSettings
from . import layers as _layers
from .common_widgets import Advanced, AxesCombo, LayerCombo, seed_box, time_limit_slider
from .field_editors import CompactCombo, get_value, rich, set_value
from .jobs import Job, count_jobs, jobs_for, select
from .layers import SelectedImage
from .mask_chooser import MASK_TIP, MaskCombo
from .preferences import preferences
from .resolve import FormValues, Scope, axes_label, axis_options, resolve, scope_of
from .settings_form import FormPairs, Rows, SettingsForm
from .worker_widget import WorkerWidget

VOLUMES = "volumes"  # name of the forms for volumes among those of the methods


class RequestForm(WorkerWidget):
    """The upper half of a widget that deblurs; a widget adds the choices that its methods need."""

    basic_fields: tuple[str, ...] = ("steps",)  # settings that are not folded away
    custom_fields: tuple[str, ...] = ()  # settings for which the widget has editors of its own

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._methods = {name: method for name, method in METHODS.items() if self.offers(method)}

    # what a widget adds

    def offers(self, method: Method) -> bool:
        """Return whether a method is in the widget's list; to be overridden."""
        raise NotImplementedError

    def add_choices(self, column: QVBoxLayout) -> None:
        """Put the widget's own choices into ``self.form`` or below it, into ``column``; to be overridden."""

    def choices(self) -> dict[str, Any]:
        """Return the arguments of ``deblur`` that the widget's own choices stand for; to be overridden."""
        return {}

    def show_choices(self) -> None:
        """Show those of the widget's own choices that the chosen method and scope use; to be overridden."""

    def offer_choices(self, selected: SelectedImage) -> None:
        """Update what the widget's own choices offer for an image; to be overridden. May raise GenPriorError."""

    def set_choices(self, request: Mapping[str, Any]) -> None:
        """Let the widget's own choices show a request, settings among its entries; to be overridden."""

    def schedule_refresh(self, *_: Any) -> None:
        """React to a change of the form; to be overridden."""

    # the form

    def build_form(self) -> None:
        """Make the form, as ``self.request``."""
        self.request = QWidget()
        column = QVBoxLayout(self.request)
        column.setContentsMargins(0, 0, 0, 0)
        self.form = Rows()
        self._add_image_and_scope()
        self._add_method()
        column.addWidget(self.form)
        self.add_choices(column)
        self.advanced = Advanced()
        self._forms = FormPairs(self.basic_fields, self.custom_fields, self.advanced, self.schedule_refresh)
        column.addWidget(self._forms)
        column.addWidget(self._run_rows())
        column.addWidget(self.advanced)

    def _add_image_and_scope(self) -> None:
        self.image = LayerCombo(self._viewer, _layers.is_image, _layers.looks_like_image)
        self.scope, self.axes, self.tiles = CompactCombo(), AxesCombo(), QSpinBox()
        volumes = any(method.recipe_3d is not None for method in self._methods.values())
        for scope in Scope:
            if volumes or scope is not Scope.VOLUME:
                self.scope.addItem(scope.label, scope)
                self.scope.setItemData(self.scope.count() - 1, rich(scope.help), Qt.ItemDataRole.ToolTipRole)
        self.tiles.setRange(1, MAX_TILES)
        self.tiles.setValue(FormValues.tiles)
        self.form.add("image", "Image", self.image, "The blurred layer. Of a stack, the displayed plane is used.")
        self.mask_layer = MaskCombo(self._viewer, self.image)
        self.form.add("mask", "Mask", self.mask_layer, MASK_TIP)
        self.form.add("scope", "Apply to", self.scope, "What is deblurred with these settings.")
        self.form.add("axes", "Axes", self.axes, "Meaning of the axes, where the layer's axis labels do not give it.")
        tip = "Number of tiles along each side of the image, each with its own kernel. Few tiles are safer."
        self.form.add("tiles", "Tiles", self.tiles, tip)

    def _add_method(self) -> None:
        self.method = CompactCombo()
        for name, method in self._methods.items():
            self.method.addItem(name, name)
            self.method.setItemData(self.method.count() - 1, rich(method.summary), Qt.ItemDataRole.ToolTipRole)
        self.method.setCurrentIndex(self.method.findData(self.first_method()))
        self.form.add("method", "Method", self.method, "")

    def _run_rows(self) -> Rows:
        self.seed, self.device, self.time_limit = seed_box(), QComboBox(), time_limit_slider()
        for device in ("auto", *available_devices()):
            self.device.addItem(device, device)
        self.device.setCurrentIndex(max(0, self.device.findData(preferences().device)))
        rows = Rows()
        tip = "Seconds after which a run returns its best estimate so far."
        rows.add("time_limit", "Time limit", self.time_limit, tip)
        rows.add("seed", "Seed", self.seed, "Seed of random numbers. Equal seeds give equal results on one machine.")
        rows.add("device", "Device", self.device, "Device to compute on. auto: a GPU where there is one.")
        return rows

    # what it says

    def first_method(self) -> str:
        """Return the preferred method, where the widget has it, else its first one."""
        preferred = preferences().method
        return preferred if preferred in self._methods else next(iter(self._methods))

    @property
    def chosen(self) -> Method:
        """The chosen method."""
        return self._methods[self.method.currentData()]

    @property
    def chosen_scope(self) -> Scope:
        """The chosen scope."""
        return Scope(self.scope.currentData())

    def choose_scope(self, scope: Scope) -> None:
        """Choose a scope by program; one that is not offered changes nothing."""
        index = self.scope.findData(scope)
        if index >= 0:
            self.scope.setCurrentIndex(index)

    def values(self) -> FormValues:
        """Return all that the form shows but the layer."""
        basic, advanced = self.shown_forms()
        selected = self.selected()
        mask = {} if selected is None else self.mask_layer.argument(self.image.layer, selected)
        return FormValues(
            scope=self.chosen_scope,
            method=self.chosen,
            settings=advanced.values() | basic.values(),
            seed=self.seed.value(),
            device=self.device.currentData(),
            time_limit_s=get_value(self.time_limit),
            axes=self.axes.currentData(),
            tiles=self.tiles.value(),
            choices=self.choices() | mask,
        )

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of ``deblur`` that the form stands for, but the image."""
        return resolve(self.values(), self.selected()).arguments

    def selected(self) -> SelectedImage | None:
        """Return the image that the scope takes from the chosen layer; None where there is no layer."""
        layer = self.image.layer
        return None if layer is None else select(self.chosen_scope, layer, self._viewer.dims.point)

    def jobs(self) -> list[Job]:
        """List the runs that the form asks for; none where there is no layer."""
        layer = self.image.layer
        return [] if layer is None else jobs_for(self.chosen_scope, layer, self._selection(), self._viewer.dims.point)

    def count(self) -> int:
        """Count the runs of :meth:`jobs`."""
        layer = self.image.layer
        return 0 if layer is None else count_jobs(self.chosen_scope, layer, self._selection())

    def layers(self) -> dict[str, Image | None]:
        """Return the layers of a run by role: "image", "mask", and "kernel" where the method takes one."""
        return {"image": self.image.layer, "mask": self.mask_layer.chosen}

    def method_forms(self, name: str) -> tuple[SettingsForm, SettingsForm]:
        """Return the two forms of a method's settings: basic and advanced."""
        return self._forms.pair(name, self._methods[name].settings)

    def shown_forms(self) -> tuple[SettingsForm, SettingsForm]:
        """Return the two forms of the settings that a run would use; volumes have their own, whatever the method."""
        volumes = self.chosen_scope is Scope.VOLUME
        return self._forms.pair(VOLUMES, VolumeSettings) if volumes else self.method_forms(self.chosen.name)

    def _selection(self) -> list[Image]:
        chosen, mask = self._viewer.layers.selection, self.mask_layer.chosen
        return [each for each in self._viewer.layers if each in chosen and each is not mask]

    # what it shows

    def show_arguments(self, request: Mapping[str, Any]) -> None:
        """Show what :meth:`arguments` returned earlier; what the request does not name gets its default.

        Raises
        ------
        InputError
            The method is not this widget's, or a setting is not allowed; then nothing has changed.
        """
        alone = "settings" in request and "method" not in request  # settings of the method that is chosen now
        name = self.chosen.name if alone else request.get("method", self.first_method())
        scope = self.chosen_scope if alone else scope_of(request, self.chosen_scope)
        if name not in self._methods or self.scope.findData(scope) < 0:
            what = f"Method {name!r}" if name not in self._methods else f"The scope {scope.label!r}"
            raise InputError(f"{what} is not in this widget; its methods are: {', '.join(self._methods)}.")
        model: type[Settings] = VolumeSettings if scope is Scope.VOLUME else self._methods[name].settings
        separate = {field: value for field, value in request.items() if field in model.model_fields}
        settings = model.checked({**request.get("settings", {}), **separate}).model_dump()
        request = {**DEFAULTS, "device": preferences().device, **request, **settings}
        self.method.setCurrentIndex(self.method.findData(name))
        self.choose_scope(scope)
        self.seed.setValue(request["seed"])
        # the device of another machine may be missing here
        self.device.setCurrentIndex(max(0, self.device.findData(request["device"])))
        set_value(self.time_limit, request["time_limit_s"])
        self.tiles.setValue(max(request["tiles"] or (FormValues.tiles,)))
        for form in self.shown_forms():
            form.set_values(settings)
        self.set_choices(request)
        self.show_axes()
        if request["axes"]:
            self.axes.setCurrentIndex(self.axes.findData(request["axes"]))

    def show_axes(self) -> None:
        """Offer what the axes of the chosen layer may mean."""
        selected, scope = self.selected(), self.chosen_scope
        whole = selected is not None and scope.whole_layer
        self.form.show_row("axes", whole)
        self.form.show_row("tiles", scope is Scope.VARYING and not self.chosen.needs_kernel)
        labels: dict[str, str] = {}
        if selected is not None and whole:
            labels = {axes: axes_label(axes, selected) for axes in axis_options(scope, selected)}
        self.axes.offer(labels)

    def show_method(self, *_: Any) -> None:
        """Show the settings and choices of the chosen method and scope."""
        self._forms.show_only(self.shown_forms())
        self.show_choices()
        self.method.setToolTip(rich(self.chosen.summary))
        self.scope.setToolTip(rich(self.chosen_scope.help))
        self.schedule_refresh()
