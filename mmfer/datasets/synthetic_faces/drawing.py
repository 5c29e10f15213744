"""Shapes of faces: make the outlines of their parts, from back to front."""

import math

import numpy as np

from .canvas import Drawing, Faces, Numbers, each


def _mirror(points: np.ndarray) -> np.ndarray:
    """Mirror a shape at the vertical axis of the face."""
    return -points.conj()


def _loop(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Join an upper and a lower contour to a closed one; both go left to right."""
    return np.concatenate((upper, lower[..., ::-1]), axis=-1)


def _points(*values: Numbers) -> np.ndarray:
    """Make a line of N faces from its points, each a number or a column (N, 1)."""
    return np.concatenate(np.broadcast_arrays(*values), axis=-1)


def _positive(values: np.ndarray) -> np.ndarray:
    """Replace negative numbers by zero."""
    return np.maximum(values, 0)


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

_SIDES = (-1.0, 1.0)
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


def draw_faces(faces: Faces) -> Drawing:
    """Collect the shapes of faces, from back to front.

    Args:
        faces (Faces): Parameters of the faces.
    """
    drawing = Drawing(faces.number)
    outline = _add_head(drawing, faces)
    _add_wrinkles(drawing, faces)
    _add_beard(drawing, faces, outline)
    _add_eyes(drawing, faces)
    _add_nose(drawing, faces)
    _add_mouth(drawing, faces)
    _add_brows(drawing, faces)
    _add_fringe(drawing, faces)
    _add_glasses(drawing, faces)
    _add_hand(drawing, faces)
    _add_patch(drawing, faces)
    return drawing


def _add_head(drawing: Drawing, face: Faces) -> np.ndarray:
    """Add hair, neck, ears and skin; return the outline of the face."""
    skin, jaw = face.skin, _positive(face.jaw_drop)
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


def _add_wrinkles(drawing: Drawing, face: Faces) -> None:
    """Add folds of the skin; a stronger action makes a darker fold."""

    def fold(strength: np.ndarray, width: float, *lines: np.ndarray) -> None:
        grey = face.skin * (1 - 0.38 * np.minimum(strength, 1.0))
        drawing.stroke(grey, width, *lines, where=strength > 0.1)

    raised = 0.5 * (face.inner_brow_raise + face.outer_brow_raise)
    fold(raised - 0.25, 0.025, *_FOREHEAD_FOLDS)
    fold(face.brow_lower, 0.025, *_FROWN_FOLDS)
    fold(face.nose_wrinkle, 0.025, *_NOSE_FOLDS)
    fold(face.cheek_raise, 0.025, *_EYE_BAGS)
    cheek = _points(
        0.17 * face.nose_width + 0.2j,
        0.3 + 0.32j,
        0.36 + 0.06 * face.lip_corner_pull + 0.48j,
    )
    strength = np.maximum(
        np.maximum(face.lip_corner_pull, face.nose_wrinkle), 0.8 * face.upper_lip_raise
    )
    fold(strength, 0.03, cheek, _mirror(cheek))


def _add_eyes(drawing: Drawing, face: Faces) -> None:
    """Add eyes: whites, irises and lids."""
    skin, size = face.skin, face.eye_size
    narrow = 0.45 * face.lid_tighten + 0.3 * face.cheek_raise
    upper = 0.105 * np.maximum(
        0.12,
        1
        + 0.6 * face.lid_raise
        - 0.7 * narrow
        - 0.6 * face.lid_droop
        - 0.25 * face.nose_wrinkle,
    )
    lower = 0.06 * np.maximum(
        0.1, 1 + 0.2 * face.lid_raise - narrow - 0.3 * face.nose_wrinkle
    )
    tops, bottoms, irises = [], [], []
    for side in _SIDES:
        # Drooping lids hang down at the outer side.
        centre = 0.33 * face.eye_distance * side - 0.14j
        tilt = (0.2 * face.eye_tilt + 0.05 * _positive(face.lid_droop)) * side
        base = _LID_T * (size * (0.18 + 1j * tilt)) + centre
        tops.append(base - 1j * size * upper * _LID)
        bottoms.append(base + 1j * size * lower * _LID)
        # Clip the height of the iris to the opening, because the lids cover it.
        # Eyes that look at the camera converge a little.
        x = 0.088 * size * _CIRCLE.real + (face.gaze_x - 0.01 * side)
        y = 0.088 * size * _CIRCLE.imag + (face.gaze_y - 0.012)
        opening = _positive(size - x * x / (0.18**2 * size))
        y = np.minimum(np.maximum(y, -upper * opening), lower * opening)
        irises.append(x + 1j * y + centre)
    drawing.fill(120 + 0.5 * skin, *map(_loop, tops, bottoms))
    drawing.fill(face.iris, *irises)
    drawing.stroke(np.minimum(skin * 0.35, 50.0), 0.035, *tops)
    drawing.stroke(skin * 0.7, 0.02, *bottoms)


def _add_brows(drawing: Drawing, face: Faces) -> None:
    """Add the brows."""
    lower = _positive(face.brow_lower)
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
        np.minimum(face.hair * 0.9, face.skin * 0.5),
        _mirror(_loop(left - half, left + half)),
        _loop(right - half, right + half),
    )


def _add_nose(drawing: Drawing, face: Faces) -> None:
    """Add the bridge of the nose and the nostrils."""
    wrinkle = _positive(face.nose_wrinkle)
    tip = 0.24 * face.nose_length - 0.04 * wrinkle
    wing = 0.13 * face.nose_width * (1 + 0.15 * wrinkle)
    bridge = _points(0.05 - 0.12j, 0.06 + 0.05j, 0.7 * wing + 1j * (tip - 0.07))
    drawing.stroke(face.skin * 0.85, 0.025, bridge)
    drawing.stroke(face.skin * 0.6, 0.03, wing * _NOSTRIL_X + _NOSTRIL_Y + 1j * tip)


def _add_mouth(drawing: Drawing, face: Faces) -> None:
    """Add lips, teeth or the closed mouth, and the fold of the chin."""
    skin, jaw = face.skin, _positive(face.jaw_drop)
    stretch = _positive(face.lip_stretch)
    press = np.minimum(_positive(face.lip_press), 1)
    centre = 0.53 + face.mouth_height + 0.05 * jaw
    smile = 1 + 0.32 * face.lip_corner_pull + 0.3 * stretch - 0.25 * jaw - 0.12 * press
    half = 0.25 * face.mouth_width * np.maximum(0.5, smile)
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
    square = np.minimum(stretch, 1.0)
    profile = 1j * ((1 - square) * _LIP_ROUND + square * _LIP_SQUARE)
    part = _positive(face.lips_part) * (1 - 0.8 * press)
    gap_up = 0.045 * part + 0.075 * _positive(face.upper_lip_raise)
    gap_up *= 1 - 0.7 * press
    gap_down = 0.075 * part + 0.24 * jaw
    lip = 0.05 * face.lip_thickness * (1 - 0.7 * press)

    inner_top = line - gap_up * profile
    inner_bottom = line + gap_down * profile
    outer = _loop(inner_top - lip * _LIP_UPPER, inner_bottom + lip * _LIP_LOWER)
    drawing.fill(skin * 0.7, outer)
    is_open = gap_up + gap_down > 0.03
    edge = inner_top + np.minimum(0.075, 0.6 * (gap_up + gap_down)) * profile
    drawing.fill(skin * 0.15, _loop(inner_top, inner_bottom), where=is_open)
    drawing.fill(150 + 0.35 * skin, _loop(inner_top, edge), where=is_open)
    drawing.stroke(skin * 0.35, 0.03, line, where=~is_open)
    chin = face.chin_raise
    drawing.stroke(skin * (1 - 0.25 * chin), 0.03, _CHIN_FOLD, where=chin > 0.2)


def _add_beard(drawing: Drawing, face: Faces, outline: np.ndarray) -> None:
    """Add a beard along the lower outline of the face."""
    grey = face.skin + (face.hair - face.skin) * face.beard
    edge = np.broadcast_to(_BEARD_EDGE, (face.number, len(_BEARD_EDGE)))
    beard = np.concatenate((outline[:, 1:14], edge), axis=1)
    drawing.fill(grey, beard, where=face.beard > 0)


def _add_fringe(drawing: Drawing, face: Faces) -> None:
    """Add the hair on the forehead."""
    # The maximum keeps the fringe inside the outline of the hair.
    edge = np.maximum(face.hairline + _FRINGE_SIDE, _CROWN.imag)
    crown = np.broadcast_to(_CROWN, edge.shape)
    drawing.fill(face.hair, _loop(crown, _CROWN.real + 1j * edge))


def _add_glasses(drawing: Drawing, face: Faces) -> None:
    """Add glasses, with opaque lenses if they are tinted."""
    lens = _LENS + 0.34 * face.eye_distance
    lenses = lens, _mirror(lens)
    has, frame = face.glasses > 0, face.skin * 0.2
    tinted = has & (face.glasses_tint > 0)
    drawing.fill(face.skin * (1 - face.glasses_tint), *lenses, where=tinted)
    drawing.stroke(frame, face.glasses, *lenses, closed=True, where=has)
    drawing.stroke(frame, face.glasses, _GLASSES_BRIDGE, where=has)


def _add_hand(drawing: Drawing, face: Faces) -> None:
    """Add the four fingers of a hand in front of the face."""
    angle = face.hand_angle
    along = each(math.cos, angle) + 1j * each(math.sin, angle)
    start = face.hand_x + 1j * face.hand_y
    has = face.hand > 0
    for finger in (-1.5, -0.5, 0.5, 1.5):
        tip = start + 1.02j * finger * face.hand * along
        if abs(finger) > 1:
            # The outer fingers are shorter.
            tip = tip + 0.05 * along
        line = _points(tip, tip + 2.5 * along)
        drawing.stroke(face.skin * 0.7, face.hand, line, where=has)
        drawing.stroke(face.skin * 0.95, face.hand * 0.8, line, where=has)


def _add_patch(drawing: Drawing, face: Faces) -> None:
    """Add a grey rectangle in front of the face."""
    centre = face.patch_x + 1j * face.patch_y
    corners = face.patch * _PATCH + centre
    drawing.fill(face.patch_grey, corners, where=face.patch > 0)
