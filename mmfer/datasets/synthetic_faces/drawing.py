"""Shapes of a face: make the outlines of its parts, project them, paint them.

A point is a complex number x + iy, and a shape is an array of them. To move, turn,
scale or mirror a shape then takes one operation.
"""

import math
from types import SimpleNamespace
from typing import List, Optional, Tuple

import cv2
import numpy as np


class Face(SimpleNamespace):
    """Parameters of one face as attributes.

    Their names are those of :data:`~mmfer.datasets.synthetic_faces.FACE_DTYPE`.
    """


# Half the width of the image in face units.
_HALF_WIDTH = 1.03
# Number of fractional bits in OpenCV's coordinates.
_SHIFT = 4


def _mirror(points: np.ndarray) -> np.ndarray:
    """Mirror a shape at the vertical axis of the face."""
    return -points.conj()


def _loop(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Join an upper and a lower contour to a closed one; both go left to right."""
    return np.concatenate((upper, lower[::-1]))


# Fixed shapes, and the curves from which the variable shapes are made.
_ARC_T = np.linspace(-1, 1, 5)
_ARC = 1 - _ARC_T**2
_CIRCLE = np.exp(2j * np.pi * np.arange(14) / 14)
_OVAL = np.exp(2j * np.pi * np.arange(28) / 28)

_OVAL_LOWER = np.maximum(_OVAL.imag, 0)
_OVAL_UPPER = np.minimum(_OVAL.imag, 0)
_OVAL_TAPER = _OVAL_LOWER**2
_HAIR = 0.9 * _OVAL.real + 1.02j * _OVAL.imag - 0.12j
_NECK = np.array([-0.38 + 0.6j, 0.38 + 0.6j, 0.45 + 1.5j, -0.45 + 1.5j])
_EAR = 0.1 * _CIRCLE.real + 0.17j * _CIRCLE.imag
_BEARD_EDGE = np.array([-0.44 + 0.4j, -0.2 + 0.32j, 0.2 + 0.32j, 0.44 + 0.4j])
# The points are closer together at the temples, where the hair bends most.
_FRINGE_T = np.sin(np.linspace(-0.5, 0.5, 11) * np.pi)
_FRINGE_SIDE = 0.3 * _FRINGE_T**4
_CROWN = 0.9 * _FRINGE_T - 1j * (0.12 + 1.02 * np.sqrt(np.maximum(1 - _FRINGE_T**2, 0)))

_FOREHEAD_FOLDS = [0.38 * _ARC_T + 1j * (y - 0.03 * _ARC) for y in (-0.64, -0.74)]
_NOSE_FOLDS = [0.085 * _ARC_T + 1j * (y + 0.03 * _ARC) for y in (-0.12, -0.03)]
_FROWN_FOLDS = [np.array([-0.055 - 0.46j, -0.04 - 0.28j])]
_FROWN_FOLDS += [_mirror(_FROWN_FOLDS[0])]
_EYE_BAGS = [0.33 + 0.15 * _ARC_T + 1j * (-0.02 + 0.06 * _ARC)]
_EYE_BAGS += [_mirror(_EYE_BAGS[0])]
_CHIN_FOLD = 0.12 * _ARC_T + 1j * (0.72 - 0.04 * _ARC)

_SIDES = np.array([[-1.0], [1.0]])
_LID_T = np.linspace(-1, 1, 9)
_LID = 1 - _LID_T**2
_BROW_T = np.linspace(0, 1, 6)
_BROW_ARCH = np.sin(np.pi * _BROW_T**0.8)
_BROW_INNER = (1 - _BROW_T) ** 1.3
_BROW_TAPER = 1 - 0.65 * _BROW_T**2
_NOSTRIL_X = np.array([-1, -0.7, 0, 0.7, 1])
_NOSTRIL_Y = np.array([-0.04j, 0.02j, 0.04j, 0.02j, -0.04j])

_LIP_T = np.linspace(-1, 1, 11)
_LIP_ROUND = 1 - _LIP_T**2
_LIP_SQUARE = 1 - _LIP_T**6
# The constant lowers the middle of the mouth when its corners are raised.
_LIP_CORNER = np.abs(_LIP_T) ** 1.7 - 0.35
_LIP_SIDE = 0.5 * _LIP_T
# The upper lip has a dip in its middle (the Cupid's bow).
_LIP_UPPER = 1j * _LIP_ROUND * (1 - 0.3 * np.exp(-((_LIP_T / 0.2) ** 2)))
_LIP_LOWER = 1.25j * _LIP_ROUND

_LENS = 0.25 * _CIRCLE.real + 0.2j * _CIRCLE.imag - 0.13j
_GLASSES_BRIDGE = np.array([-0.1 - 0.17j, 0.1 - 0.17j])
_PATCH = np.array([-1 - 0.8j, 1 - 0.8j, 1 + 0.8j, -1 + 0.8j])


class Drawing:
    """List of shapes in face units, drawn in the order in which they were added.

    All shapes are collected first, so that one call projects all their points.
    This makes drawing small images much faster.
    """

    def __init__(self) -> None:
        self._shapes: List[np.ndarray] = []
        self._steps: List[Tuple[int, float, Optional[float], bool]] = []

    def fill(self, grey: float, *outlines: np.ndarray) -> None:
        """Add filled shapes.

        Args:
            grey (float): Grey level in [0, 255].
            *outlines (np.ndarray): Corners of each shape, complex.
        """
        self._shapes += outlines
        self._steps.append((len(outlines), grey, None, True))

    def stroke(
        self, grey: float, width: float, *lines: np.ndarray, closed: bool = False
    ) -> None:
        """Add lines.

        Args:
            grey (float): Grey level in [0, 255].
            width (float): Width of the lines in face units.
            *lines (np.ndarray): Points of each line, complex.
            closed (bool): Whether to connect the last point to the first.
                Defaults to False.
        """
        self._shapes += lines
        self._steps.append((len(lines), grey, width, closed))

    def paint(self, face: Face, size: int) -> np.ndarray:
        """Return the image without light and noise, uint8 (size, size).

        Args:
            face (Face): Pose of the head and grey of the background.
            size (int): Side of the image in pixels.
        """
        unit = size / (2 * _HALF_WIDTH)
        points = _project(np.concatenate(self._shapes), face)
        # In OpenCV, the middle of the first pixel is at 0, not at 0.5.
        points *= unit * (1 << _SHIFT)
        points += (0.5 + 0.5j) * (size - 1) * (1 << _SHIFT)
        pixels = np.rint(points.view(np.float64)).astype(np.int32)
        pixels = pixels.reshape(-1, 1, 2)
        polygons, end = [], 0
        for shape in self._shapes:
            start, end = end, end + len(shape)
            polygons.append(pixels[start:end])

        canvas = np.full((size, size), face.background, np.uint8)
        end = 0
        for num, grey, width, closed in self._steps:
            start, end = end, end + num
            if width is None:
                cv2.fillPoly(canvas, polygons[start:end], grey, cv2.LINE_AA, _SHIFT)
            else:
                thickness = max(1, round(width * face.scale * unit))
                cv2.polylines(
                    canvas,
                    polygons[start:end],
                    closed,
                    grey,
                    thickness,
                    cv2.LINE_AA,
                    _SHIFT,
                )
        return canvas


def draw_face(face: Face) -> Drawing:
    """Collect the shapes of a face, from back to front.

    Args:
        face (Face): Parameters of the face.
    """
    drawing = Drawing()
    outline = _add_head(drawing, face)
    _add_wrinkles(drawing, face)
    if face.beard > 0:
        _add_beard(drawing, face, outline)
    _add_eyes(drawing, face)
    _add_nose(drawing, face)
    _add_mouth(drawing, face)
    _add_brows(drawing, face)
    _add_fringe(drawing, face)
    if face.glasses > 0:
        _add_glasses(drawing, face)
    if face.hand > 0:
        _add_hand(drawing, face)
    if face.patch > 0:
        _add_patch(drawing, face)
    return drawing


def _project(points: np.ndarray, face: Face) -> np.ndarray:
    """Turn points with the head, then move them to their place in the image."""
    x, y = points.real, points.imag
    # The head is half an ellipsoid with a nose. Points that are closer to the
    # camera move more when the head turns.
    bulge = np.maximum(1 - (x / 0.95) ** 2 - (y / 1.2) ** 2, 0)
    depth = 0.6 * np.sqrt(bulge) + 0.16 * np.exp(-(x**2 + (y - 0.2) ** 2) / 0.03)
    x = x * math.cos(face.yaw) + depth * math.sin(face.yaw)
    y = y * math.cos(face.pitch) - depth * math.sin(face.pitch)
    turn = complex(math.cos(face.roll), math.sin(face.roll))
    return (x + 1j * y) * (turn * face.scale) + complex(face.shift_x, face.shift_y)


def _add_head(drawing: Drawing, face: Face) -> np.ndarray:
    """Add hair, neck, ears and skin; return the outline of the face."""
    skin, jaw = face.skin, max(face.jaw_drop, 0)
    outline = 0.76 * face.face_width * _OVAL.real * (
        1 - face.jaw_taper * _OVAL_TAPER
    ) + 1j * (0.95 * _OVAL_UPPER + (0.93 + 0.1 * jaw) * _OVAL_LOWER)
    ear = _EAR + 0.74 * face.face_width
    drawing.fill(face.hair, _HAIR)
    drawing.fill(skin * 0.72, _NECK)
    drawing.fill(skin * 0.8, ear, _mirror(ear))
    # A darker rim makes the flat face look round.
    drawing.fill(skin * 0.86, outline)
    drawing.fill(skin, outline * 0.93)
    return outline


def _add_wrinkles(drawing: Drawing, face: Face) -> None:
    """Add folds of the skin; a stronger action makes a darker fold."""

    def fold(strength: float, width: float, *lines: np.ndarray) -> None:
        if strength > 0.1:
            grey = face.skin * (1 - 0.38 * min(strength, 1.0))
            drawing.stroke(grey, width, *lines)

    raised = 0.5 * (face.inner_brow_raise + face.outer_brow_raise)
    fold(raised - 0.25, 0.025, *_FOREHEAD_FOLDS)
    fold(face.brow_lower, 0.025, *_FROWN_FOLDS)
    fold(face.nose_wrinkle, 0.025, *_NOSE_FOLDS)
    fold(face.cheek_raise, 0.025, *_EYE_BAGS)
    cheek = np.array(
        [
            0.17 * face.nose_width + 0.2j,
            0.3 + 0.32j,
            0.36 + 0.06 * face.lip_corner_pull + 0.48j,
        ]
    )
    strength = max(face.lip_corner_pull, face.nose_wrinkle, 0.8 * face.upper_lip_raise)
    fold(strength, 0.03, cheek, _mirror(cheek))


def _add_eyes(drawing: Drawing, face: Face) -> None:
    """Add eyes: whites, irises and lids."""
    skin, size = face.skin, face.eye_size
    narrow = 0.45 * face.lid_tighten + 0.3 * face.cheek_raise
    upper = 0.105 * max(
        0.12,
        1
        + 0.6 * face.lid_raise
        - 0.7 * narrow
        - 0.6 * face.lid_droop
        - 0.25 * face.nose_wrinkle,
    )
    lower = 0.06 * max(0.1, 1 + 0.2 * face.lid_raise - narrow - 0.3 * face.nose_wrinkle)
    # One row per eye. Drooping lids hang down at the outer side.
    centre = 0.33 * face.eye_distance * _SIDES - 0.14j
    tilt = (0.2 * face.eye_tilt + 0.05 * max(face.lid_droop, 0)) * _SIDES
    base = _LID_T * (size * (0.18 + 1j * tilt)) + centre
    tops = base - 1j * size * upper * _LID
    bottoms = base + 1j * size * lower * _LID
    whites = np.concatenate((tops, bottoms[:, ::-1]), axis=1)
    # Clip the height of the iris to the opening, because the lids cover it.
    # Eyes that look at the camera converge a little.
    x = 0.088 * size * _CIRCLE.real + (face.gaze_x - 0.01 * _SIDES)
    y = 0.088 * size * _CIRCLE.imag + (face.gaze_y - 0.012)
    opening = np.maximum(size - x * x / (0.18**2 * size), 0)
    y = np.minimum(np.maximum(y, -upper * opening), lower * opening)
    irises = x + 1j * y + centre
    drawing.fill(120 + 0.5 * skin, *whites)
    drawing.fill(face.iris, *irises)
    drawing.stroke(min(skin * 0.35, 50.0), 0.035, *tops)
    drawing.stroke(skin * 0.7, 0.02, *bottoms)


def _add_brows(drawing: Drawing, face: Face) -> None:
    """Add the brows."""
    lower = max(face.brow_lower, 0)
    half = 0.032j * face.brow_thickness * _BROW_TAPER
    x = face.eye_distance * (0.14 - 0.05 * lower + (0.41 + 0.03 * lower) * _BROW_T)
    raised = 1j * (
        0.17 * face.inner_brow_raise * _BROW_INNER
        + 0.15 * face.outer_brow_raise * _BROW_T
    )
    rest = x + 1j * (
        face.brow_slope * _BROW_T
        + 0.1 * lower * _BROW_INNER
        - 0.05 * _BROW_ARCH
        + (0.02 * lower - 0.36 - face.brow_height - 0.5 * face.brow_slope)
    )
    left = rest - (1 - face.asymmetry) * raised
    right = rest - (1 + face.asymmetry) * raised
    drawing.fill(
        min(face.hair * 0.9, face.skin * 0.5),
        _mirror(_loop(left - half, left + half)),
        _loop(right - half, right + half),
    )


def _add_nose(drawing: Drawing, face: Face) -> None:
    """Add the bridge of the nose and the nostrils."""
    wrinkle = max(face.nose_wrinkle, 0)
    tip = 0.24 * face.nose_length - 0.04 * wrinkle
    wing = 0.13 * face.nose_width * (1 + 0.15 * wrinkle)
    bridge = np.array([0.05 - 0.12j, 0.06 + 0.05j, complex(0.7 * wing, tip - 0.07)])
    drawing.stroke(face.skin * 0.85, 0.025, bridge)
    drawing.stroke(face.skin * 0.6, 0.03, wing * _NOSTRIL_X + _NOSTRIL_Y + 1j * tip)


def _add_mouth(drawing: Drawing, face: Face) -> None:
    """Add lips, teeth or the closed mouth, and the fold of the chin."""
    skin, jaw = face.skin, max(face.jaw_drop, 0)
    stretch, press = max(face.lip_stretch, 0), min(max(face.lip_press, 0), 1)
    centre = 0.53 + face.mouth_height + 0.05 * jaw
    half = (
        0.25
        * face.mouth_width
        * max(
            0.5,
            1 + 0.32 * face.lip_corner_pull + 0.3 * stretch - 0.25 * jaw - 0.12 * press,
        )
    )
    corner = (
        face.mouth_curve
        - 0.15 * face.lip_corner_pull
        + 0.13 * face.lip_corner_depress
        + 0.03 * stretch
    )
    line = half * _LIP_T + 1j * (
        centre
        + corner * _LIP_CORNER * (1 + face.asymmetry * _LIP_SIDE)
        - 0.035 * face.chin_raise * _LIP_ROUND
    )
    # A stretched mouth opens as a rectangle, a dropped jaw as an oval.
    square = min(stretch, 1.0)
    profile = 1j * ((1 - square) * _LIP_ROUND + square * _LIP_SQUARE)
    part = max(face.lips_part, 0) * (1 - 0.8 * press)
    gap_up = 0.045 * part + 0.075 * max(face.upper_lip_raise, 0)
    gap_up *= 1 - 0.7 * press
    gap_down = 0.075 * part + 0.24 * jaw
    lip = 0.05 * face.lip_thickness * (1 - 0.7 * press)

    inner_top = line - gap_up * profile
    inner_bottom = line + gap_down * profile
    outer = _loop(inner_top - lip * _LIP_UPPER, inner_bottom + lip * _LIP_LOWER)
    drawing.fill(skin * 0.7, outer)
    if gap_up + gap_down > 0.03:
        drawing.fill(skin * 0.15, _loop(inner_top, inner_bottom))
        edge = inner_top + min(0.075, 0.6 * (gap_up + gap_down)) * profile
        drawing.fill(150 + 0.35 * skin, _loop(inner_top, edge))
    else:
        drawing.stroke(skin * 0.35, 0.03, line)
    if face.chin_raise > 0.2:
        drawing.stroke(skin * (1 - 0.25 * face.chin_raise), 0.03, _CHIN_FOLD)


def _add_beard(drawing: Drawing, face: Face, outline: np.ndarray) -> None:
    """Add a beard along the lower outline of the face."""
    grey = face.skin + (face.hair - face.skin) * face.beard
    drawing.fill(grey, np.concatenate((outline[1:14], _BEARD_EDGE)))


def _add_fringe(drawing: Drawing, face: Face) -> None:
    """Add the hair on the forehead."""
    # The maximum keeps the fringe inside the outline of the hair.
    edge = np.maximum(face.hairline + _FRINGE_SIDE, _CROWN.imag)
    drawing.fill(face.hair, _loop(_CROWN, _CROWN.real + 1j * edge))


def _add_glasses(drawing: Drawing, face: Face) -> None:
    """Add glasses, with opaque lenses if they are tinted."""
    lens = _LENS + 0.34 * face.eye_distance
    lenses = lens, _mirror(lens)
    if face.glasses_tint > 0:
        drawing.fill(face.skin * (1 - face.glasses_tint), *lenses)
    drawing.stroke(face.skin * 0.2, face.glasses, *lenses, closed=True)
    drawing.stroke(face.skin * 0.2, face.glasses, _GLASSES_BRIDGE)


def _add_hand(drawing: Drawing, face: Face) -> None:
    """Add the four fingers of a hand in front of the face."""
    along = complex(math.cos(face.hand_angle), math.sin(face.hand_angle))
    start = complex(face.hand_x, face.hand_y)
    for finger in (-1.5, -0.5, 0.5, 1.5):
        tip = start + 1.02j * finger * face.hand * along
        if abs(finger) > 1:
            # The outer fingers are shorter.
            tip += 0.05 * along
        line = np.array([tip, tip + 2.5 * along])
        drawing.stroke(face.skin * 0.7, face.hand, line)
        drawing.stroke(face.skin * 0.95, face.hand * 0.8, line)


def _add_patch(drawing: Drawing, face: Face) -> None:
    """Add a grey rectangle in front of the face."""
    drawing.fill(
        face.patch_grey, face.patch * _PATCH + complex(face.patch_x, face.patch_y)
    )
