"""Draw kernels, samples of priors and loss curves inside the dock."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QImage, QPainter, QPaintEvent, QPen, QPixmap, QPolygonF
from qtpy.QtWidgets import QHBoxLayout, QLabel, QToolButton, QWidget

from .field_editors import rich

KERNEL_PX = 112  # side of the kernel preview
STRIP_PX = 276  # width of a row of samples
CANDIDATE_PX, MAX_CANDIDATES = 36, 6  # side of a candidate kernel; number that fits into the dock
CURVE_HEIGHT_PX = 96
CURVE_POINTS = 600  # more cannot be seen
GREY, BLUE = QColor("#7a869a"), QColor("#3d8bfd")  # visible on napari's dark and light themes alike


def to_pixmap(values: np.ndarray, side: int) -> QPixmap:
    """Draw values from 0 to 1, [Y, X] or [Y, X, 3], as large as ``side`` pixels allow."""
    bytes_ = np.ascontiguousarray(np.clip(values, 0, 1) * 255, dtype=np.uint8)
    height, width = bytes_.shape[:2]
    kind = QImage.Format.Format_Grayscale8 if values.ndim == 2 else QImage.Format.Format_RGB888
    pixmap = QPixmap.fromImage(QImage(bytes_.tobytes(), width, height, bytes_.strides[0], kind))  # a copy
    enlarged = side // max(height, width)  # whole numbers, so that all pixels look the same
    if enlarged:
        return pixmap.scaled(width * enlarged, height * enlarged)
    return pixmap.scaled(side, side, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation)


def kernel_pixmap(kernel: np.ndarray, side: int) -> QPixmap:
    """Draw a kernel with its largest value white; of a volume its sum along z."""
    plane = kernel.sum(0) if kernel.ndim == 3 else kernel
    return to_pixmap(plane / (float(plane.max()) or 1.0), side)


class KernelView(QLabel):
    """An enlarged kernel, its largest value white."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel: np.ndarray | None = None
        self.setFixedSize(QSize(KERNEL_PX, KERNEL_PX))
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setStyleSheet("background: black;")
        self.show_kernel(None)

    def show_kernel(self, kernel: np.ndarray | None) -> None:
        """Draw ``kernel`` (float [(kz,) kh, kw]); None empties the view."""
        self.kernel = kernel
        if kernel is None:
            self.setPixmap(QPixmap())
            self.setToolTip(rich("The kernel is shown here."))
            return
        self.setPixmap(kernel_pixmap(kernel, KERNEL_PX))
        size = " x ".join(map(str, kernel.shape))
        summed = " Summed along z." if kernel.ndim == 3 else ""
        self.setToolTip(rich(f"Kernel of {size} pixels; its largest value is shown white.{summed}"))


class SampleStrip(QLabel):
    """Sample images of a prior side by side, or a sentence where there are none."""

    def __init__(self) -> None:
        super().__init__()
        self.images: np.ndarray | None = None

    def show_images(self, images: np.ndarray) -> None:
        """Draw ``images``: [N, Y, X] or [N, Y, X, 3], from 0 to 1."""
        self.images = images
        gap = [(0, 0), (0, 1)] + [(0, 0)] * (images.ndim - 3)
        row = np.concatenate([np.pad(image, gap, constant_values=0.5) for image in images], axis=1)
        self.setWordWrap(False)  # a label that wraps leaves no height to a pixmap
        self.setPixmap(to_pixmap(row[:, :-1], STRIP_PX))
        self.setToolTip(rich("Images that the prior generates from random latent vectors."))

    def say(self, text: str) -> None:
        """Show ``text`` in place of images."""
        self.images = None
        self.setWordWrap(True)
        self.setText(text)
        self.setToolTip("")


class KernelChoice(QWidget):
    """Small images of candidate kernels, the best first; ``chosen`` is emitted with the one that is clicked."""

    chosen = Signal(object)  # float [(kz,) kh, kw]

    def __init__(self) -> None:
        super().__init__()
        self.buttons: list[QToolButton] = []
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(2)
        self._row.addStretch(1)

    def offer(self, candidates: Sequence[tuple[np.ndarray, float]]) -> None:
        """Show kernels, each with its cost; with fewer than two there is nothing to choose."""
        for button in self.buttons:
            self._row.removeWidget(button)
            button.deleteLater()
        self.buttons = []
        best = sorted(candidates, key=lambda candidate: candidate[1])[:MAX_CANDIDATES] if len(candidates) > 1 else ()
        for number, (kernel, cost) in enumerate(best, 1):
            button = QToolButton()
            button.setIcon(QIcon(kernel_pixmap(kernel, CANDIDATE_PX)))
            button.setIconSize(QSize(CANDIDATE_PX, CANDIDATE_PX))
            tip = f"Candidate kernel {number}: cost {cost:.4g} (lower is better). Click to restore the image with it."
            button.setToolTip(rich(tip))
            button.setAccessibleName(f"Candidate kernel {number}")
            button.clicked.connect(partial(self.chosen.emit, kernel))
            self._row.insertWidget(len(self.buttons), button)
            self.buttons.append(button)
        self.setVisible(bool(self.buttons))


class LossPlot(QWidget):
    """Losses over steps: a thin curve per restart, a thick one for the lowest. Logarithmic where all are positive."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedHeight(CURVE_HEIGHT_PX)
        self.setToolTip(rich("The loss over the steps: a thin curve for each restart, a thick one for the lowest."))
        self.clear()

    def clear(self) -> None:
        """Remove all points."""
        self.steps: list[int] = []
        self.losses: list[np.ndarray] = []
        self.hide()

    def add(self, step: int, losses: np.ndarray) -> None:
        """Append one loss per restart, float [R]."""
        self.steps.append(step)
        self.losses.append(np.atleast_1d(np.asarray(losses, dtype=float)))
        if len(self.steps) > CURVE_POINTS:
            self.steps, self.losses = self.steps[::2], self.losses[::2]
        self.show()
        self.update()

    def curves(self) -> np.ndarray:
        """Return losses as float [T, R]; NaN where a restart was not running, or not finite."""
        whole = np.full((len(self.steps), max((loss.size for loss in self.losses), default=0)), np.nan)
        for row, loss in zip(whole, self.losses, strict=True):
            row[: loss.size] = np.where(np.isfinite(loss), loss, np.nan)
        return whole

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the curves, with the highest loss above and the lowest below."""
        curves = self.curves()
        finite = curves[np.isfinite(curves)]
        if not finite.size:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        line = painter.fontMetrics().height()
        frame = QRectF(0.5, line, self.width() - 1, self.height() - 2 * line)
        logarithmic = finite.min() > 0
        painter.setPen(GREY)
        scale = "Loss (log scale)" if logarithmic else "Loss"
        painter.drawText(QPointF(0, line - 4), f"{scale}: highest {finite.max():.3g}")
        painter.drawText(QPointF(0, self.height() - 4), f"lowest {finite.min():.3g}, step {self.steps[-1]}")
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
    finite = np.isfinite(y)
    painter.drawPolyline(QPolygonF([QPointF(*point) for point in zip(x[finite], y[finite], strict=True)]))
