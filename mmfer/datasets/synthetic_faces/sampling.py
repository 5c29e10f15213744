"""Sampling of random faces: parameters, labels, valence and arousal."""

import math
from typing import Iterator, Optional, Sequence, Tuple

import numpy as np

from mmfer.utils.checks import in_range, whole_number

from .parameters import ACTIONS, EXPRESSIONS, FACE_DTYPE

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

#: Valence and arousal of each expression at full intensity, (7, 2) in [-1, 1].
#: They follow the positions of the words in the circumplex model of emotions.
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

#: Expressions with which each one is blended: first the more similar one, which is
#: chosen more often.
NEIGHBOURS = dict(
    surprise=('fear', 'happiness'),
    fear=('surprise', 'sadness'),
    disgust=('anger', 'sadness'),
    happiness=('neutral', 'surprise'),
    sadness=('neutral', 'fear'),
    anger=('disgust', 'neutral'),
    neutral=('sadness', 'happiness'),
)

# Change of (valence, arousal) per unit of an action that goes beyond the
# prototype. Faces of one class and intensity therefore have different values, and
# the difference can be seen.
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

# First number of the seeds, so that labels and faces never share draws.
_LABEL_STREAM, _FACE_STREAM = 1, 2
# Number of draws per face; a face needs a few less.
_NUM_UNIFORMS = 40
_NUM_NORMALS = 2 * len(ACTIONS) + 32
_MAX_SEED = 2**32 - 1


def _class_shares(
    num: int, class_counts: Optional[Sequence[int]], imbalance: float
) -> np.ndarray:
    """Return the share of each class, (7,), with sum 1; see :func:`sample_faces`."""
    if class_counts is None:
        in_range('', 'imbalance', imbalance, 1)
        weights = float(imbalance) ** (-np.arange(_NUM_CLASSES) / (_NUM_CLASSES - 1))
        return weights / weights.sum()

    if imbalance != 1:
        raise ValueError(
            'class_counts and imbalance exclude each other, because each of '
            'them sets the class sizes. Give one of the two.'
        )
    if len(class_counts) != _NUM_CLASSES:
        raise ValueError(
            f'class_counts must have {_NUM_CLASSES} entries, one per class, got '
            f'{len(class_counts)}.'
        )
    counts = [
        int(whole_number('', f'class_counts[{i}]', count, 0))
        for i, count in enumerate(class_counts)
    ]
    if sum(counts) != num:
        raise ValueError(
            f'the sum of class_counts must be num={num}, got {sum(counts)}. '
            'Correct one of the two.'
        )
    return np.array(counts) / max(num, 1)


def _draw_labels(num: int, seed: int, shares: np.ndarray) -> np.ndarray:
    """Give each sample, in order, the label of the class farthest below its share.

    The chosen class is always below its share by at least 1/7 of a sample. No
    class is therefore ever above its share by more than 6/7. It follows that
    class counts that are whole numbers are met exactly. No label depends on
    the number of samples that follow.
    """
    labels = np.empty(num, np.int64)
    counts = np.zeros(_NUM_CLASSES)
    for i in range(num):
        if i % _NUM_CLASSES == 0:
            # A new random order breaks ties. A fixed order would make the
            # labels periodic, in step with a batch size of 7 or 14.
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
    """Draw random faces together with their true annotation.

    Sample ``i`` depends on ``seed``, ``i`` and the class shares, but not on
    ``num``. Without ``class_counts``, a draw of ``k`` faces is therefore equal
    to the first ``k`` faces of a longer draw. The labels are in random order.

    A face is the prototype of its expression scaled by an intensity, plus
    random variation, because people differ. Some faces are blends with a
    similar expression (:data:`NEIGHBOURS`). The label of a blend is the
    expression with the larger share. It is uncertain if both shares are
    close.

    Args:
        num (int): Number of faces, 0 or more.
        seed (int): Seed in [0, 2**32 - 1]. Different seeds give unrelated
            faces; use another seed for a test set.
        class_counts (Sequence[int], optional): Number of faces of each of the
            seven classes; the sum must be ``num``. Defaults to None:
            ``imbalance`` sets the class sizes.
        imbalance (float): Size of the largest class divided by the size of
            the smallest, at least 1. Class ``k`` gets a share proportional to
            ``imbalance ** (-k / 6)``. Defaults to 1.0: class sizes differ by
            one at most.
        ambiguity (float): Probability in [0, 1] that a face is a blend.
            Defaults to 0.3.
        nuisance (float): Factor in [0, 2] that multiplies the strength of
            pose, light, blur and noise, and the probability of each occluder.
            Defaults to 1.0.

    Returns:
        tuple: ``(params, labels, va)``.

        - params (np.ndarray): (num,) of :data:`FACE_DTYPE`.
        - labels (np.ndarray): (num,) int64, indices into
          :data:`EXPRESSIONS`.
        - va (np.ndarray): (num, 2) float32, valence and arousal in [-1, 1].
          The values of the prototypes are blended and scaled by the
          intensity, like the face itself. The random variation adds to them.

    Raises:
        ValueError: An argument is out of its range; ``num``, ``seed`` or a
            class count is not an integer; ``class_counts`` does not have
            seven entries or does not sum to ``num``; or it is given together
            with ``imbalance``.
    """
    num = int(whole_number('', 'num', num, 0))
    seed = int(whole_number('', 'seed', seed, 0, _MAX_SEED))
    in_range('', 'ambiguity', ambiguity, 0, 1)
    in_range('', 'nuisance', nuisance, 0, 2)
    shares = _class_shares(num, class_counts, imbalance)
    labels = _draw_labels(num, seed, shares)
    noise_seed, uniforms, normals = _draw_numbers(num, seed)
    uniform, normal = iter(uniforms.T), iter(normals.T)
    params = np.zeros(num, FACE_DTYPE)
    params['noise_seed'] = noise_seed
    va = _sample_expression(params, labels, ambiguity, uniform, normal)
    _sample_build(params, uniform, normal)
    _sample_view(params, nuisance, uniform, normal)
    _sample_occluders(params, nuisance, uniform, normal)
    return params, labels, va


def _draw_numbers(num: int, seed: int) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw the random numbers of all faces, one row per face.

    Each face has its own random generator and takes the same number of draws
    from it. All later computation is done for each row alone, so no face
    depends on another.

    Returns:
        tuple: Noise seeds uint32 (num,), uniform numbers in [0, 1), and normal
        numbers clipped to [-2.5, 2.5].
    """
    noise_seed = np.empty(num, np.uint32)
    uniforms = np.empty((num, _NUM_UNIFORMS))
    normals = np.empty((num, _NUM_NORMALS))
    for i in range(num):
        rng = np.random.default_rng((_FACE_STREAM, seed, i))
        noise_seed[i] = rng.integers(2**32, dtype=np.uint32)
        rng.random(out=uniforms[i])
        rng.standard_normal(out=normals[i])
    # A normal variable is unbounded, but the shape of a face is not.
    np.clip(normals, -2.5, 2.5, out=normals)
    return noise_seed, uniforms, normals


# The functions below fill in columns of ``params``. Each takes its random
# numbers from two iterators over columns of draws, so the order of their
# ``next`` calls decides which face a seed gives.


def _sample_expression(
    params: np.ndarray,
    labels: np.ndarray,
    ambiguity: float,
    uniform: Iterator[np.ndarray],
    normal: Iterator[np.ndarray],
) -> np.ndarray:
    """Fill in blend, intensity and actions; return (N, 2) valence and arousal."""
    farther = next(uniform) > 0.65
    second = _NEIGHBOUR_LABELS[labels, farther.astype(np.int64)]
    is_blend = next(uniform) < ambiguity
    blend = np.where(is_blend, 0.2 + 0.29 * next(uniform), 0.0)
    # The square root makes strong expressions more frequent than weak ones.
    intensity = 0.5 + 0.5 * np.sqrt(next(uniform))
    params['second'] = np.where(is_blend, second, labels)
    params['blend'] = blend
    params['intensity'] = intensity

    own, other = _PROTOTYPE_ACTIONS[labels], _PROTOTYPE_ACTIONS[second]
    va = (1 - blend) * PROTOTYPE_VA[labels].T + blend * PROTOTYPE_VA[second].T
    va *= intensity
    for k, name in enumerate(ACTIONS):
        strength = ((1 - blend) * own[:, k] + blend * other[:, k]) * intensity
        # People differ in how strongly they show an action. Faces also move for
        # other reasons than the expression.
        deviation = 0.25 * strength * next(normal) + 0.07 * next(normal)
        params[name] = strength + deviation
        if name in _ACTION_VA:
            va += np.outer(_ACTION_VA[name], deviation)
    return np.clip(va.T, -1, 1).astype(np.float32)


def _sample_build(
    params: np.ndarray, uniform: Iterator[np.ndarray], normal: Iterator[np.ndarray]
) -> None:
    """Fill in the build of the head and its greys."""
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
    # Most people have hair darker than their skin, some have lighter hair.
    light_hair = next(uniform) < 0.15
    shade = next(uniform)
    params['hair'] = np.where(light_hair, 150 + 70 * shade, skin * (0.12 + 0.4 * shade))
    params['iris'] = 20 + 70 * next(uniform)
    params['background'] = 255 * next(uniform)
    has_beard = next(uniform) < 0.15
    params['beard'] = has_beard * (0.2 + 0.4 * next(uniform))


def _sample_view(
    params: np.ndarray,
    nuisance: float,
    uniform: Iterator[np.ndarray],
    normal: Iterator[np.ndarray],
) -> None:
    """Fill in pose, direction of the eyes, light and camera."""
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


def _sample_occluders(
    params: np.ndarray,
    nuisance: float,
    uniform: Iterator[np.ndarray],
    normal: Iterator[np.ndarray],
) -> None:
    """Fill in fringe, glasses, hand and patch."""

    def happens(probability: float) -> np.ndarray:
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
    # The hand comes from below, from the left or from the right.
    params['hand_angle'] = math.pi * next(uniform)
    has_patch = happens(0.10)
    params['patch'] = has_patch * (0.15 + 0.15 * next(uniform))
    params['patch_x'] = 0.4 * next(normal)
    params['patch_y'] = 0.4 * next(normal)
    params['patch_grey'] = 255 * next(uniform)
