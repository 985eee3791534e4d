"""What is drawn inside the dock: kernels, samples of priors, loss curves."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QImage, QPainter, QPaintEvent, QPen, QPixmap, QPolygonF
from qtpy.QtWidgets import QHBoxLayout, QLabel, QToolButton, QWidget

from .field_editors import rich

PREVIEW = 112  # px, side of the kernel preview
STRIP = 276  # px, width of a row of samples
CANDIDATE, MOST_CANDIDATES = 36, 6  # px, side of a candidate kernel; and how many fit into the dock
CURVE_HEIGHT = 96  # px
CURVE_POINTS = 600  # more are not seen
GREY, BLUE = QColor("#7a869a"), QColor("#3d8bfd")  # seen on napari's dark and light themes alike


def sample_candidates(values: np.ndarray, side: int) -> QPixmap:
    """Values from 0 to 1, [Y, X] or [Y, X, 3], as large as ``side`` pixels allow."""
    bytes_ = np.ascontiguousarray(np.clip(values, 0, 1) * 255, dtype=np.uint8)
    height, width = bytes_.shape[:2]
    kind = QImage.Format.Format_Grayscale8 if values.ndim == 2 else QImage.Format.Format_RGB888
    pixmap = QPixmap.fromImage(QImage(bytes_.data, width, height, bytes_.strides[0], kind))  # a copy
    enlarged = side // max(height, width)  # whole numbers, so that all pixels look the same
    if enlarged:
        return pixmap.scaled(width * enlarged, height * enlarged)
    return pixmap.scaled(side, side, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation)


class KernelView(QLabel):
    """A kernel, enlarged, its largest value white."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel: np.ndarray | None = None
        self.setFixedSize(QSize(PREVIEW, PREVIEW))
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setStyleSheet("background: black;")
        self.show_kernel(None)

    def show_kernel(self, kernel: np.ndarray | None) -> None:
        """Draw ``kernel`` (float [kh, kw]); None empties the view."""
        self.kernel = kernel
        if kernel is None:
            self.setPixmap(QPixmap())
            self.setToolTip(rich("The blur kernel is shown here."))
            return
        self.setPixmap(sample_candidates(kernel / (float(kernel.max()) or 1.0), PREVIEW))
        height, width = kernel.shape
        self.setToolTip(rich(f"Kernel of {height} x {width} pixels; its largest value is shown white."))


class SampleStrip(QLabel):
    """Some images of a prior side by side, or a word where there are none."""

    def __init__(self) -> None:
        super().__init__()
        self.images: np.ndarray | None = None

    def show_images(self, images: np.ndarray) -> None:
        """Draw ``images``: [N, Y, X] or [N, Y, X, 3], from 0 to 1."""
        self.images = images
        gap = [(0, 0), (0, 1)] + [(0, 0)] * (images.ndim - 3)
        row = np.concatenate([np.pad(image, gap, constant_values=0.5) for image in images], axis=1)
        self.setWordWrap(False)  # a label that wraps leaves no height to a pixmap
        self.setPixmap(sample_candidates(row[:, :-1], STRIP))
        self.setToolTip(rich("What the prior makes of random latent vectors."))

    def say(self, text: str) -> None:
        """Show ``text`` in place of images."""
        self.images = None
        self.setWordWrap(True)
        self.setText(text)
        self.setToolTip("")


class KernelChoice(QWidget):
    """Small images of kernels, the likeliest first; ``chosen`` hands out the one that is clicked."""

    chosen = Signal(object)  # float [kh, kw]

    def __init__(self) -> None:
        super().__init__()
        self.buttons: list[QToolButton] = []
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(2)
        self._row.addStretch(1)

    def offer(self, candidates: Sequence[tuple[np.ndarray, float]]) -> None:
        """Show kernels, each with what speaks against it; with fewer than two there is nothing to choose."""
        for button in self.buttons:
            self._row.removeWidget(button)
            button.deleteLater()
        self.buttons = []
        for kernel, against in (
            sorted(candidates, key=lambda candidate: candidate[1])[:MOST_CANDIDATES] if len(candidates) > 1 else ()
        ):
            button = QToolButton()
            button.setIcon(QIcon(sample_candidates(kernel / (float(kernel.max()) or 1.0), CANDIDATE)))
            button.setIconSize(QSize(CANDIDATE, CANDIDATE))
            button.setToolTip(rich(f"Another kernel (against it: {against:.4g}, less is better). Click to use it."))
            button.clicked.connect(partial(self.chosen.emit, kernel))
            self._row.insertWidget(len(self.buttons), button)
            self.buttons.append(button)
        self.setVisible(bool(self.buttons))


class LossPlot(QWidget):
    """Losses over steps: all restarts thin, the least one strong. Logarithmic where all losses are positive."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedHeight(CURVE_HEIGHT)
        self.setToolTip(rich("The objective over the steps: each restart thin, the least strong."))
        self.clear()

    def clear(self) -> None:
        self.steps: list[int] = []
        self.losses: list[np.ndarray] = []
        self.hide()

    def add(self, step: int, losses: np.ndarray) -> None:
        """Append one point: float [R], R restarts."""
        self.steps.append(step)
        self.losses.append(np.atleast_1d(np.asarray(losses, dtype=float)))
        if len(self.steps) > CURVE_POINTS:
            self.steps, self.losses = self.steps[::2], self.losses[::2]
        self.show()
        self.update()

    def curves(self) -> np.ndarray:
        """Losses as float [T, R]; NaN where a restart was not under way, or not finite."""
        whole = np.full((len(self.steps), max((loss.size for loss in self.losses), default=0)), np.nan)
        for row, loss in zip(whole, self.losses, strict=True):
            row[: loss.size] = np.where(np.isfinite(loss), loss, np.nan)
        return whole

    def paintEvent(self, event: QPaintEvent) -> None:
        curves = self.curves()
        seen = curves[np.isfinite(curves)]
        if not seen.size:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        line = painter.fontMetrics().height()
        frame = QRectF(0.5, line, self.width() - 1, self.height() - 2 * line)
        logarithmic = seen.min() > 0
        painter.setPen(GREY)
        scale = "loss, logarithmic" if logarithmic else "loss"
        painter.drawText(QPointF(0, line - 4), f"{scale}: {seen.max():.3g} at most")
        painter.drawText(QPointF(0, self.height() - 4), f"{seen.min():.3g} at least, step {self.steps[-1]}")
        painter.drawRect(frame)
        heights = np.log(curves) if logarithmic else curves
        low, high = np.nanmin(heights), np.nanmax(heights)
        y = frame.bottom() - (heights - low) / ((high - low) or 1.0) * frame.height()
        first, last = self.steps[0], self.steps[-1]
        x = frame.left() + (np.array(self.steps) - first) / ((last - first) or 1) * frame.width()
        for restart in y.T:
            _draw_curve(painter, x, restart)
        painter.setPen(QPen(BLUE, 2))
        _draw_curve(painter, x, np.where(np.isfinite(y).any(1), np.nanmax(np.nan_to_num(y, nan=-1), 1), np.nan))
        painter.end()


def _draw_curve(painter: QPainter, x: np.ndarray, y: np.ndarray) -> None:
    there = np.isfinite(y)
    painter.drawPolyline(QPolygonF([QPointF(*point) for point in zip(x[there], y[there], strict=True)]))
