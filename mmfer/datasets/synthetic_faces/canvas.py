"""Canvas on which the shapes of many faces are painted at once.

A point is a complex number x + iy, and a shape is an array of them. To move, turn,
scale or mirror a shape then takes one operation. Each operation works on many faces:
a parameter is a column (N, 1), and a shape (N, points).
"""

import math
from types import SimpleNamespace
from typing import Any, Callable, List, NamedTuple, Optional, Union

import cv2
import numpy as np

# Half the width of the image in face units.
_HALF_WIDTH = 1.03
# Number of fractional bits in OpenCV's coordinates.
_SHIFT = 4

# A number for all faces, or a column with one number for each, (N, 1). Numbers may
# be complex.
Numbers = Union[complex, np.ndarray]


class Faces(SimpleNamespace):
    """Parameters of faces as attributes, float64 columns (N, 1).

    Their names are those of :data:`~mmfer.datasets.synthetic_faces.FACE_DTYPE`.

    Args:
        params (np.ndarray): (N,) of that data type.
    """

    def __init__(self, params: np.ndarray) -> None:
        super().__init__(
            **{
                name: params[name].astype(np.float64)[:, None]
                for name in params.dtype.names or ()
            }
        )
        self.number = len(params)


def each(function: Callable[[float], float], values: np.ndarray) -> np.ndarray:
    """Apply a function of Python's ``math`` to a column.

    The last bit of a result of numpy's functions depends on the processor.
    """
    return np.array([function(x) for x in values.ravel().tolist()]).reshape(-1, 1)


class _Step(NamedTuple):
    """Shapes that are painted together.

    Attributes:
        lengths (list[int]): Number of points of each shape, all equal.
        grey (np.ndarray): Grey level of each face, (N,).
        width (np.ndarray, optional): Width of the lines of each face, (N,); None
            for filled shapes.
        closed (bool): Whether to connect the last point of a line to the first.
        where (np.ndarray, optional): Which faces have these shapes, (N,); None for
            all.
    """

    lengths: List[int]
    grey: np.ndarray
    width: Optional[np.ndarray]
    closed: bool
    where: Optional[np.ndarray]


class Drawing:
    """List of shapes in face units, drawn in the order in which they were added.

    All shapes are collected first, so that one call projects all their points.

    Args:
        number (int): Number of faces, N.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self._shapes: List[np.ndarray] = []
        self._steps: List[_Step] = []

    def fill(
        self, grey: Numbers, *outlines: np.ndarray, where: Optional[np.ndarray] = None
    ) -> None:
        """Add filled shapes.

        Args:
            grey (float | np.ndarray): Grey level in [0, 255], or a column (N, 1).
            *outlines (np.ndarray): Corners of each shape, complex, (points,) or
                (N, points).
            where (np.ndarray, optional): Which faces have these shapes, a column
                of truth values (N, 1). Defaults to all.
        """
        self._add(outlines, grey, None, True, where)

    def stroke(
        self,
        grey: Numbers,
        width: Numbers,
        *lines: np.ndarray,
        closed: bool = False,
        where: Optional[np.ndarray] = None,
    ) -> None:
        """Add lines.

        Args:
            grey (float | np.ndarray): Grey level in [0, 255], or a column (N, 1).
            width (float | np.ndarray): Width of the lines in face units.
            *lines (np.ndarray): Points of each line, complex, (points,) or
                (N, points).
            closed (bool): Whether to connect the last point to the first.
                Defaults to False.
            where (np.ndarray, optional): See :meth:`fill`.
        """
        self._add(lines, grey, self._column(width), closed, where)

    def _add(self, shapes, grey, width, closed, where) -> None:
        """Add shapes of equally many points, for all faces."""
        self._shapes += [
            np.broadcast_to(shape, (self.number, shape.shape[-1])) for shape in shapes
        ]
        lengths = [shape.shape[-1] for shape in shapes]
        where = None if where is None else where[:, 0]
        self._steps.append(_Step(lengths, self._column(grey), width, closed, where))

    def _column(self, values: Numbers) -> np.ndarray:
        """Return one number for each face, (N,)."""
        return np.broadcast_to(values, (self.number, 1))[:, 0]

    def paint(self, faces: Faces, size: int) -> np.ndarray:
        """Return the images without light and noise, uint8 (N, size, size).

        Args:
            faces (Faces): Poses of the heads and greys of the backgrounds.
            size (int): Side of the images in pixels.
        """
        unit = size / (2 * _HALF_WIDTH)
        points = _project(np.concatenate(self._shapes, axis=1), faces)
        # In OpenCV, the middle of the first pixel is at 0, not at 0.5.
        points *= unit * (1 << _SHIFT)
        points += (0.5 + 0.5j) * (size - 1) * (1 << _SHIFT)
        pixels = np.rint(points.view(np.float64)).astype(np.int32)

        images = np.empty((self.number, size, size), np.uint8)
        images[:] = faces.background[..., None].astype(np.uint8)
        canvases = list(images)
        scales, end = faces.scale[:, 0], 0
        for step in self._steps:
            start, end = end, end + sum(step.lengths)
            # The polygons of a face: (shapes, points, 2).
            shape = (self.number, len(step.lengths), step.lengths[0], 2)
            polygons: List[Any] = list(pixels[:, 2 * start : 2 * end].reshape(shape))
            greys = step.grey.tolist()
            chosen = (
                range(self.number)
                if step.where is None
                else np.flatnonzero(step.where).tolist()
            )
            if step.width is None:
                for i in chosen:
                    cv2.fillPoly(
                        canvases[i], polygons[i], greys[i], cv2.LINE_AA, _SHIFT
                    )
                continue
            thickness = np.maximum(1, np.rint(step.width * scales * unit))
            widths = thickness.astype(int).tolist()
            for i in chosen:
                cv2.polylines(
                    canvases[i],
                    polygons[i],
                    step.closed,
                    greys[i],
                    widths[i],
                    cv2.LINE_AA,
                    _SHIFT,
                )
        return images


def _project(points: np.ndarray, face: Faces) -> np.ndarray:
    """Turn points with the head, then move them to their place in the image."""
    x, y = points.real, points.imag
    # The head is half an ellipsoid with a nose. Points that are closer to the
    # camera move more when the head turns.
    bulge = np.maximum(1 - (x / 0.95) ** 2 - (y / 1.2) ** 2, 0)
    depth = 0.6 * np.sqrt(bulge) + 0.16 * np.exp(-(x**2 + (y - 0.2) ** 2) / 0.03)
    x = x * each(math.cos, face.yaw) + depth * each(math.sin, face.yaw)
    y = y * each(math.cos, face.pitch) - depth * each(math.sin, face.pitch)
    turn = each(math.cos, face.roll) + 1j * each(math.sin, face.roll)
    return (x + 1j * y) * (turn * face.scale) + (face.shift_x + 1j * face.shift_y)
