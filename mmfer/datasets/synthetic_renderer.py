"""Schematic faces with known expression, valence and arousal.

The renderer needs no download and no file. A face is a row of numbers
(:data:`FACE_DTYPE`): facial actions in the spirit of the Facial Action Coding
System, the build of the head, its pose, the light and what hides it.
:func:`sample_faces` draws such rows, :func:`render_faces` turns them into
grey images. Both are pure functions of their arguments.
"""

import functools
import math
import operator
from collections import namedtuple
from typing import Optional, Sequence, Tuple

import cv2
import numpy as np

#: Class names; the position is the label (the order of RAF-DB).
EXPRESSIONS = (
    'surprise',
    'fear',
    'disgust',
    'happiness',
    'sadness',
    'anger',
    'neutral',
)

#: Facial actions. 0 is a face at rest and 1 a strong action; individual
#: variation can push a value to about -0.3 or 1.6.
ACTIONS = (
    'inner_brow_raise',
    'outer_brow_raise',
    'brow_lower',
    'lid_raise',
    'cheek_raise',
    'lid_tighten',
    'lid_droop',
    'nose_wrinkle',
    'upper_lip_raise',
    'lip_corner_pull',
    'lip_corner_depress',
    'chin_raise',
    'lip_stretch',
    'lip_press',
    'lips_part',
    'jaw_drop',
)

#: What does not depend on the expression. Lengths are in face units (the face
#: is about 1.5 wide and 1.9 high, the picture 2.06), angles in radians, greys
#: in [0, 255], x to the right and y down.
APPEARANCE = (
    # Build: ratios to the average face, or offsets from it.
    'face_width',
    'jaw_taper',
    'eye_size',
    'eye_distance',
    'eye_tilt',
    'brow_height',
    'brow_slope',
    'brow_thickness',
    'nose_length',
    'nose_width',
    'mouth_width',
    'mouth_height',
    'mouth_curve',
    'lip_thickness',
    'asymmetry',
    # Greys; ``beard`` is an opacity in [0, 1].
    'skin',
    'hair',
    'iris',
    'background',
    'beard',
    # Pose, and where the eyes look.
    'roll',
    'yaw',
    'pitch',
    'scale',
    'shift_x',
    'shift_y',
    'gaze_x',
    'gaze_y',
    # Light and camera. ``light_strength`` is the relative gain at the edge of
    # the picture, ``noise`` a standard deviation in grey levels, ``blur`` the
    # Gaussian sigma as a fraction of the picture's side.
    'light_direction',
    'light_strength',
    'contrast',
    'brightness',
    'noise',
    'blur',
    # Occluders. ``hairline`` is the height where the hair begins (a fringe
    # hangs lower), ``glasses`` the width of their frame, ``glasses_tint`` the
    # darkness in [0, 1] of opaque lenses, ``hand`` the width of a finger and
    # ``patch`` half the width of a rectangle; 0 means that there is none.
    'hairline',
    'glasses',
    'glasses_tint',
    'hand',
    'hand_x',
    'hand_y',
    'hand_angle',
    'patch',
    'patch_x',
    'patch_y',
    'patch_grey',
)

#: One face. ``intensity`` in [0.5, 1] scales the expression, ``second`` is the
#: label blended in and ``blend`` its share in [0.2, 0.5); a pure face has its
#: own label there and a share of 0.
#: ``noise_seed`` fixes the pixel noise.
FACE_DTYPE = np.dtype(
    [
        ('noise_seed', np.uint32),
        ('second', np.int64),
        ('blend', np.float32),
        ('intensity', np.float32),
    ]
    + [(name, np.float32) for name in ACTIONS + APPEARANCE]
)

_PROTOTYPES = dict(
    surprise=dict(
        inner_brow_raise=1.0,
        outer_brow_raise=1.0,
        lid_raise=0.8,
        lips_part=0.4,
        jaw_drop=0.9,
    ),
    fear=dict(
        inner_brow_raise=0.95,
        outer_brow_raise=0.45,
        brow_lower=0.5,
        lid_raise=1.0,
        lid_tighten=0.3,
        lip_stretch=1.0,
        lip_corner_depress=0.3,
        lips_part=0.7,
        jaw_drop=0.3,
    ),
    disgust=dict(
        brow_lower=0.55,
        cheek_raise=0.4,
        lid_tighten=0.5,
        nose_wrinkle=1.0,
        upper_lip_raise=1.0,
        lip_corner_depress=0.45,
        chin_raise=0.4,
        lips_part=0.25,
    ),
    happiness=dict(
        cheek_raise=0.9,
        lip_corner_pull=1.0,
        upper_lip_raise=0.2,
        lips_part=0.7,
        jaw_drop=0.15,
    ),
    sadness=dict(
        inner_brow_raise=0.9,
        brow_lower=0.3,
        lid_droop=0.6,
        lip_corner_depress=1.0,
        chin_raise=0.6,
    ),
    anger=dict(
        brow_lower=1.0,
        lid_raise=0.35,
        lid_tighten=0.6,
        nose_wrinkle=0.2,
        lip_corner_depress=0.3,
        lip_press=1.0,
        chin_raise=0.3,
    ),
    neutral=dict(),
)

#: Valence and arousal of each expression at full intensity, (7, 2) in
#: [-1, 1]; chosen to lie where the circumplex model puts the words.
PROTOTYPE_VA = np.array(
    [
        [0.15, 0.80],
        [-0.60, 0.85],
        [-0.70, 0.35],
        [0.90, 0.45],
        [-0.70, -0.45],
        [-0.65, 0.75],
        [0.0, -0.05],
    ]
)

#: What a blend mixes in: the nearer neighbour first, then the farther one.
NEIGHBOURS = dict(
    surprise=('fear', 'happiness'),
    fear=('surprise', 'sadness'),
    disgust=('anger', 'sadness'),
    happiness=('neutral', 'surprise'),
    sadness=('neutral', 'fear'),
    anger=('disgust', 'neutral'),
    neutral=('sadness', 'happiness'),
)

# What an action beyond the prototype adds to (valence, arousal), so that
# faces of one class and intensity still differ in a way that can be seen.
_ACTION_VA = dict(
    lip_corner_pull=(0.35, 0.05),
    lip_corner_depress=(-0.30, 0.0),
    brow_lower=(-0.15, 0.10),
    lid_raise=(0.0, 0.30),
    lid_droop=(0.0, -0.30),
    jaw_drop=(0.0, 0.20),
)

_NUM_CLASSES = len(EXPRESSIONS)
_PROTOTYPE_ACTIONS = np.array(
    [[_PROTOTYPES[e].get(a, 0.0) for a in ACTIONS] for e in EXPRESSIONS]
)
_NEIGHBOUR_LABELS = np.array(
    [[EXPRESSIONS.index(n) for n in NEIGHBOURS[e]] for e in EXPRESSIONS]
)

# First word of the seed sequences: streams of different use never meet.
_LABEL_STREAM, _FACE_STREAM = 1, 2
# As many as one face needs, and some to spare.
_NUM_UNIFORMS = 40
_NUM_NORMALS = 2 * len(ACTIONS) + 32
_MAX_SEED = 2**32 - 1
_MIN_SIZE, _MAX_SIZE = 16, 512


def _as_int(value, name: str, low: int, high: Optional[int] = None) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f'{name} must be an integer, got {value!r}') from None
    if number < low or (high is not None and number > high):
        bound = f'at least {low}' if high is None else f'in [{low}, {high}]'
        raise ValueError(f'{name} must be {bound}, got {number}')
    return number


def _class_shares(num: int, class_counts, imbalance: float) -> np.ndarray:
    if class_counts is None:
        if not 1 <= imbalance < math.inf:
            raise ValueError(
                f'imbalance must be finite and at least 1, got {imbalance}'
            )
        weights = float(imbalance) ** (-np.arange(_NUM_CLASSES) / (_NUM_CLASSES - 1))
        return weights / weights.sum()

    if imbalance != 1:
        raise ValueError('give class_counts or imbalance, not both')
    if len(class_counts) != _NUM_CLASSES:
        raise ValueError(
            f'class_counts needs {_NUM_CLASSES} entries, got {len(class_counts)}'
        )
    counts = [_as_int(c, 'every class count', 0) for c in class_counts]
    if sum(counts) != num:
        raise ValueError(f'class_counts sum to {sum(counts)}, but num is {num}')
    return np.array(counts) / max(num, 1)


def _draw_labels(num: int, seed: int, shares: np.ndarray) -> np.ndarray:
    """Give every next sample to the class that lags its share the most.

    The class picked is always behind by at least 1/7, hence no class is ever
    ahead of its share by more than 6/7. Whole-numbered targets are therefore
    met exactly, and no label depends on how many follow.
    """
    labels = np.empty(num, np.int64)
    counts = np.zeros(_NUM_CLASSES)
    for i in range(num):
        if i % _NUM_CLASSES == 0:
            # Ties go by a fresh order, otherwise equal shares would give a
            # strictly periodic list, in step with a batch size of 7 or 14.
            order = np.random.default_rng((_LABEL_STREAM, seed, i)).permutation(
                _NUM_CLASSES
            )
        label = order[np.argmax((shares * (i + 1) - counts)[order])]
        counts[label] += 1
        labels[i] = label
    return labels


def sample_faces(
    num: int,
    seed: int,
    class_counts: Optional[Sequence[int]] = None,
    imbalance: float = 1.0,
    ambiguity: float = 0.3,
    nuisance: float = 1.0,
) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw faces together with their true annotation.

    Sample ``i`` is a function of ``seed``, ``i`` and the class shares, never
    of ``num``: without ``class_counts``, the first ``k`` samples of a longer
    draw are the draw of length ``k``. The labels come in an order that is
    already mixed.

    A face is its expression's prototype scaled by an intensity, plus the
    person's own variation. A share of the faces is a blend with a
    neighbouring expression (:data:`NEIGHBOURS`); the label is the dominant
    one, so close to equal blends nobody can be sure of it.

    Args:
        num (int): Number of faces, 0 or more.
        seed (int): Seed in [0, 2**32 - 1]. Different seeds give unrelated
            faces, which is how to get a test set.
        class_counts (Sequence[int], optional): Number of faces of each of the
            seven classes, in sum ``num``. Defaults to None.
        imbalance (float): Ratio of the most frequent class to the rarest, at
            least 1. Class ``k`` gets a share proportional to
            ``imbalance ** (-k / 6)``. Defaults to 1.0: class sizes differ by
            one at most.
        ambiguity (float): Probability in [0, 1] that a face is a blend.
            Defaults to 0.3.
        nuisance (float): Factor in [0, 2] on the strength of pose, light,
            blur and noise and on the probability of every occluder. Defaults
            to 1.0.

    Returns:
        tuple: ``(params, labels, va)``.

        - params (np.ndarray): (num,) of :data:`FACE_DTYPE`.
        - labels (np.ndarray): (num,) int64, indices into
          :data:`EXPRESSIONS`.
        - va (np.ndarray): (num, 2) float32, valence and arousal in [-1, 1]:
          the prototypes' values blended and scaled by the intensity like the
          face itself, plus what the person's own deviation adds.

    Raises:
        TypeError: If ``num``, ``seed`` or a class count is no integer.
        ValueError: If an argument is out of its range, if ``class_counts``
            has not seven entries or does not sum to ``num``, or if it is
            given together with ``imbalance``.
    """
    num = _as_int(num, 'num', 0)
    seed = _as_int(seed, 'seed', 0, _MAX_SEED)
    if not 0 <= ambiguity <= 1:
        raise ValueError(f'ambiguity must be in [0, 1], got {ambiguity}')
    if not 0 <= nuisance <= 2:
        raise ValueError(f'nuisance must be in [0, 2], got {nuisance}')
    shares = _class_shares(num, class_counts, imbalance)
    labels = _draw_labels(num, seed, shares)

    # Every sample takes the same number of draws from its own generator.
    # What follows is elementwise, hence independent of the other samples.
    noise_seed = np.empty(num, np.uint32)
    uniforms = np.empty((num, _NUM_UNIFORMS))
    normals = np.empty((num, _NUM_NORMALS))
    for i in range(num):
        rng = np.random.default_rng((_FACE_STREAM, seed, i))
        noise_seed[i] = rng.integers(2**32, dtype=np.uint32)
        rng.random(out=uniforms[i])
        rng.standard_normal(out=normals[i])
    # A normal variable has no bounds, a face has.
    np.clip(normals, -2.5, 2.5, out=normals)
    uniform, normal = iter(uniforms.T), iter(normals.T)

    params = np.zeros(num, FACE_DTYPE)
    params['noise_seed'] = noise_seed
    va = _sample_expression(params, labels, ambiguity, uniform, normal)
    _sample_build(params, uniform, normal)
    _sample_view(params, nuisance, uniform, normal)
    _sample_occluders(params, nuisance, uniform, normal)
    return params, labels, va


def _sample_expression(params, labels, ambiguity, uniform, normal):
    """Fill in the actions and return the (N, 2) valence and arousal."""
    farther = next(uniform) > 0.65
    second = _NEIGHBOUR_LABELS[labels, farther.astype(np.int64)]
    is_blend = next(uniform) < ambiguity
    blend = np.where(is_blend, 0.2 + 0.29 * next(uniform), 0.0)
    # The square root favours clear faces over faint ones.
    intensity = 0.5 + 0.5 * np.sqrt(next(uniform))
    params['second'] = np.where(is_blend, second, labels)
    params['blend'] = blend
    params['intensity'] = intensity

    own, other = _PROTOTYPE_ACTIONS[labels], _PROTOTYPE_ACTIONS[second]
    va = (1 - blend) * PROTOTYPE_VA[labels].T + blend * PROTOTYPE_VA[second].T
    va *= intensity
    for k, name in enumerate(ACTIONS):
        strength = ((1 - blend) * own[:, k] + blend * other[:, k]) * intensity
        # People differ in how much of an action they show and in what their
        # face does on its own account.
        deviation = 0.25 * strength * next(normal) + 0.07 * next(normal)
        params[name] = strength + deviation
        if name in _ACTION_VA:
            va += np.outer(_ACTION_VA[name], deviation)
    return np.clip(va.T, -1, 1).astype(np.float32)


def _sample_build(params, uniform, normal):
    for name, mean, spread in (
        ('face_width', 1.0, 0.05),
        ('jaw_taper', 0.25, 0.08),
        ('eye_size', 1.0, 0.08),
        ('eye_distance', 1.0, 0.05),
        ('eye_tilt', 0.0, 0.07),
        ('brow_height', 0.0, 0.02),
        ('brow_slope', 0.0, 0.035),
        ('brow_thickness', 1.0, 0.2),
        ('nose_length', 1.0, 0.08),
        ('nose_width', 1.0, 0.12),
        ('mouth_width', 1.0, 0.07),
        ('mouth_height', 0.0, 0.025),
        ('mouth_curve', 0.0, 0.012),
        ('lip_thickness', 1.0, 0.2),
        ('asymmetry', 0.0, 0.1),
    ):
        params[name] = mean + spread * next(normal)

    skin = 95 + 125 * next(uniform)
    params['skin'] = skin
    # Hair darker than the skin for most, lighter for some.
    light_hair = next(uniform) < 0.15
    shade = next(uniform)
    params['hair'] = np.where(light_hair, 150 + 70 * shade, skin * (0.12 + 0.4 * shade))
    params['iris'] = 20 + 70 * next(uniform)
    params['background'] = 255 * next(uniform)
    has_beard = next(uniform) < 0.15
    params['beard'] = has_beard * (0.2 + 0.4 * next(uniform))


def _sample_view(params, nuisance, uniform, normal):
    for name, mean, spread in (
        ('roll', 0.0, 0.09),
        ('yaw', 0.0, 0.16),
        ('pitch', 0.0, 0.09),
        ('scale', 1.0, 0.05),
        ('shift_x', 0.0, 0.035),
        ('shift_y', 0.0, 0.035),
        ('gaze_x', 0.0, 0.03),
        ('gaze_y', 0.0, 0.012),
        ('brightness', 0.0, 14.0),
    ):
        params[name] = mean + spread * nuisance * next(normal)
    params['light_direction'] = 2 * math.pi * next(uniform)
    params['light_strength'] = 0.45 * nuisance * next(uniform)
    params['contrast'] = 1 - 0.4 * min(nuisance, 1.5) * next(uniform)
    params['noise'] = (2 + 8 * next(uniform)) * nuisance
    params['blur'] = 0.012 * nuisance * next(uniform)


def _sample_occluders(params, nuisance, uniform, normal):

    def happens(probability):
        return next(uniform) < probability * nuisance

    has_fringe = happens(0.15)
    params['hairline'] = np.where(
        has_fringe, -0.5 + 0.12 * next(uniform), -0.78 + 0.03 * next(normal)
    )
    has_glasses = happens(0.18)
    params['glasses'] = has_glasses * (0.02 + 0.02 * next(uniform))
    is_tinted = happens(0.2)
    darkness = 0.4 + 0.5 * next(uniform)
    params['glasses_tint'] = has_glasses * is_tinted * darkness
    has_hand = happens(0.10)
    params['hand'] = has_hand * (0.10 + 0.04 * next(uniform))
    params['hand_x'] = 0.35 * next(normal)
    params['hand_y'] = 0.45 + 0.3 * next(normal)
    # From below, from the left or from the right, not from above.
    params['hand_angle'] = math.pi * next(uniform)
    has_patch = happens(0.10)
    params['patch'] = has_patch * (0.15 + 0.15 * next(uniform))
    params['patch_x'] = 0.4 * next(normal)
    params['patch_y'] = 0.4 * next(normal)
    params['patch_grey'] = 255 * next(uniform)


# ---------------------------------------------------------------------------
# Drawing. A point is a complex number x + iy: moving, turning, scaling and
# mirroring are then one operation each, and a shape is one array.

_Face = namedtuple('_Face', FACE_DTYPE.names)

_HALF_WIDTH = 1.03  # of the picture, in face units
_OVERSAMPLING = 2
_SHIFT = 4  # binary digits after the point of OpenCV's coordinates


def _mirror(points):
    return -points.conj()


def _loop(upper, lower):
    """Close an upper and a lower contour, both left to right."""
    return np.concatenate((upper, lower[::-1]))


# Fixed shapes and the profiles that the variable ones are made of.
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
# Denser at the temples, where the hair bends most.
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
# Minus a constant, so that raised corners lower the middle.
_LIP_CORNER = np.abs(_LIP_T) ** 1.7 - 0.35
_LIP_SIDE = 0.5 * _LIP_T
# Cupid's bow: the dip in the middle of the upper lip.
_LIP_UPPER = 1j * _LIP_ROUND * (1 - 0.3 * np.exp(-((_LIP_T / 0.2) ** 2)))
_LIP_LOWER = 1.25j * _LIP_ROUND

_LENS = 0.25 * _CIRCLE.real + 0.2j * _CIRCLE.imag - 0.13j
_GLASSES_BRIDGE = np.array([-0.1 - 0.17j, 0.1 - 0.17j])
_PATCH = np.array([-1 - 0.8j, 1 - 0.8j, 1 + 0.8j, -1 + 0.8j])


class _Drawing:
    """A list of shapes in face units, drawn in the order they were added.

    Collecting the shapes first lets one call project all their points, which
    is most of the speed at small sizes.
    """

    def __init__(self):
        self._shapes = []
        self._steps = []

    def fill(self, grey, *outlines):
        self._shapes += outlines
        self._steps.append((len(outlines), grey, None, True))

    def stroke(self, grey, width, *lines, closed=False):
        self._shapes += lines
        self._steps.append((len(lines), grey, width, closed))

    def paint(self, face, size):
        """Return the (size, size) uint8 picture, without light and noise."""
        unit = size / (2 * _HALF_WIDTH)
        points = _project(np.concatenate(self._shapes), face)
        # The middle of the first pixel is at 0, not at 0.5.
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


def _project(points, face):
    """Turn flat points with the head, then place them in the picture."""
    x, y = points.real, points.imag
    # The head as half an ellipsoid with a nose on it: what lies closer to
    # the camera moves more when the head turns.
    bulge = np.maximum(1 - (x / 0.95) ** 2 - (y / 1.2) ** 2, 0)
    depth = 0.6 * np.sqrt(bulge) + 0.16 * np.exp(-(x**2 + (y - 0.2) ** 2) / 0.03)
    x = x * math.cos(face.yaw) + depth * math.sin(face.yaw)
    y = y * math.cos(face.pitch) - depth * math.sin(face.pitch)
    turn = complex(math.cos(face.roll), math.sin(face.roll))
    return (x + 1j * y) * (turn * face.scale) + complex(face.shift_x, face.shift_y)


def _add_head(drawing, face):
    """Add what lies behind the features and return the face's outline."""
    skin, jaw = face.skin, max(face.jaw_drop, 0)
    outline = 0.76 * face.face_width * _OVAL.real * (
        1 - face.jaw_taper * _OVAL_TAPER
    ) + 1j * (0.95 * _OVAL_UPPER + (0.93 + 0.1 * jaw) * _OVAL_LOWER)
    ear = _EAR + 0.74 * face.face_width
    drawing.fill(face.hair, _HAIR)
    drawing.fill(skin * 0.72, _NECK)
    drawing.fill(skin * 0.8, ear, _mirror(ear))
    # A darker rim makes the flat disc look round.
    drawing.fill(skin * 0.86, outline)
    drawing.fill(skin, outline * 0.93)
    return outline


def _add_wrinkles(drawing, face):
    """Draw the folds, each as dark as the action that makes it is strong."""

    def fold(strength, width, *lines):
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


def _add_eyes(drawing, face):
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
    # One row per eye. Sad lids hang down on the outside.
    centre = 0.33 * face.eye_distance * _SIDES - 0.14j
    tilt = (0.2 * face.eye_tilt + 0.05 * max(face.lid_droop, 0)) * _SIDES
    base = _LID_T * (size * (0.18 + 1j * tilt)) + centre
    tops = base - 1j * size * upper * _LID
    bottoms = base + 1j * size * lower * _LID
    whites = np.concatenate((tops, bottoms[:, ::-1]), axis=1)
    # The lids cover the iris: clip its height to the opening. Eyes that look
    # at the camera converge a little.
    x = 0.088 * size * _CIRCLE.real + (face.gaze_x - 0.01 * _SIDES)
    y = 0.088 * size * _CIRCLE.imag + (face.gaze_y - 0.012)
    opening = np.maximum(size - x * x / (0.18**2 * size), 0)
    y = np.minimum(np.maximum(y, -upper * opening), lower * opening)
    irises = x + 1j * y + centre
    drawing.fill(120 + 0.5 * skin, *whites)
    drawing.fill(face.iris, *irises)
    drawing.stroke(min(skin * 0.35, 50.0), 0.035, *tops)
    drawing.stroke(skin * 0.7, 0.02, *bottoms)


def _add_brows(drawing, face):
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


def _add_nose(drawing, face):
    wrinkle = max(face.nose_wrinkle, 0)
    tip = 0.24 * face.nose_length - 0.04 * wrinkle
    wing = 0.13 * face.nose_width * (1 + 0.15 * wrinkle)
    bridge = np.array([0.05 - 0.12j, 0.06 + 0.05j, complex(0.7 * wing, tip - 0.07)])
    drawing.stroke(face.skin * 0.85, 0.025, bridge)
    drawing.stroke(face.skin * 0.6, 0.03, wing * _NOSTRIL_X + _NOSTRIL_Y + 1j * tip)


def _add_mouth(drawing, face):
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
    # A stretched mouth opens like a slot, a dropped jaw like an oval.
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


def _add_beard(drawing, face, outline):
    grey = face.skin + (face.hair - face.skin) * face.beard
    drawing.fill(grey, np.concatenate((outline[1:14], _BEARD_EDGE)))


def _add_fringe(drawing, face):
    # Above, the fringe joins the hair behind the head and never leaves it.
    edge = np.maximum(face.hairline + _FRINGE_SIDE, _CROWN.imag)
    drawing.fill(face.hair, _loop(_CROWN, _CROWN.real + 1j * edge))


def _add_glasses(drawing, face):
    lens = _LENS + 0.34 * face.eye_distance
    lenses = lens, _mirror(lens)
    if face.glasses_tint > 0:
        drawing.fill(face.skin * (1 - face.glasses_tint), *lenses)
    drawing.stroke(face.skin * 0.2, face.glasses, *lenses, closed=True)
    drawing.stroke(face.skin * 0.2, face.glasses, _GLASSES_BRIDGE)


def _add_hand(drawing, face):
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


def _add_patch(drawing, face):
    drawing.fill(
        face.patch_grey, face.patch * _PATCH + complex(face.patch_x, face.patch_y)
    )


@functools.lru_cache(maxsize=8)
def _pixel_grid(size: int) -> Tuple[np.ndarray, np.ndarray]:
    axis = (2 * np.arange(size, dtype=np.float32) + 1) / size - 1
    return axis[None, :].copy(), axis[:, None].copy()


def _develop(canvas, face, size):
    """Apply light, lens and sensor to the painted picture."""
    image = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA)
    sigma = face.blur * size
    if sigma > 0.25:
        image = cv2.GaussianBlur(image, (0, 0), sigma)
    # Contrast turns around middle grey: with g the light's gain, a pixel v
    # becomes contrast * (g * v - 128) + 128 + brightness + noise.
    grid_x, grid_y = _pixel_grid(size)
    slope = face.contrast * face.light_strength
    out = (
        np.float32(slope * math.cos(face.light_direction)) * grid_x
        + np.float32(face.contrast)
        + np.float32(slope * math.sin(face.light_direction)) * grid_y
    )
    out *= image
    out += np.float32(128 * (1 - face.contrast) + face.brightness)
    if face.noise > 0:
        noise = np.random.default_rng(face.noise_seed).standard_normal(
            (size, size), np.float32
        )
        noise *= np.float32(face.noise)
        out += noise
    np.rint(out, out=out)
    np.maximum(out, np.float32(0), out=out)
    np.minimum(out, np.float32(255), out=out)
    return out.astype(np.uint8)


def _check_params(params) -> None:
    dtype = getattr(params, 'dtype', None)
    if dtype != FACE_DTYPE:
        raise TypeError(
            'faces must come as a structured array of FACE_DTYPE '
            f'(see sample_faces), got {dtype or type(params)}'
        )


def render_face(params_i: np.void, size: int = 48) -> np.ndarray:
    """Draw one face.

    Args:
        params_i (np.void): One element of the array that
            :func:`sample_faces` returns.
        size (int): Side of the square picture in pixels, in [16, 512].
            Defaults to 48.

    Returns:
        np.ndarray: (size, size) uint8 grey picture. The same face gives the
        same picture, its noise included.

    Raises:
        TypeError: If ``params_i`` is not of :data:`FACE_DTYPE` or ``size`` is
            no integer.
        ValueError: If ``size`` is out of range or ``params_i`` holds more
            than one face.
    """
    _check_params(params_i)
    size = _as_int(size, 'size', _MIN_SIZE, _MAX_SIZE)
    if np.ndim(params_i):
        raise ValueError(
            'render_face draws one face, got an array of shape '
            f'{np.shape(params_i)}; use render_faces'
        )
    face = _Face(*params_i.item())
    drawing = _Drawing()
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
    canvas = drawing.paint(face, size * _OVERSAMPLING)
    return _develop(canvas, face, size)


def render_faces(params: np.ndarray, size: int = 48) -> np.ndarray:
    """Draw many faces; see :func:`render_face`.

    Args:
        params (np.ndarray): (N,) of :data:`FACE_DTYPE`, N may be 0.
        size (int): Side of the square pictures in pixels, in [16, 512].
            Defaults to 48.

    Returns:
        np.ndarray: (N, size, size) uint8 grey pictures.

    Raises:
        TypeError: If ``params`` is not of :data:`FACE_DTYPE` or ``size`` is
            no integer.
        ValueError: If ``size`` is out of range or ``params`` is not
            one-dimensional.
    """
    _check_params(params)
    size = _as_int(size, 'size', _MIN_SIZE, _MAX_SIZE)
    if params.ndim != 1:
        raise ValueError(f'params must have one dimension, got shape {params.shape}')
    images = np.empty((len(params), size, size), np.uint8)
    for i in range(len(params)):
        images[i] = render_face(params[i], size)
    return images
