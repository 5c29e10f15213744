"""Rendering of faces: from parameters to grey images with light, blur and noise."""

import functools
import math
from typing import Any, Tuple

import cv2
import numpy as np

from mmfer.utils.checks import whole_number

from .drawing import Face, draw_face
from .parameters import FACE_DTYPE

_MIN_SIZE, _MAX_SIZE = 16, 512
# A face is drawn at this multiple of its size, then reduced.
_OVERSAMPLING = 2


def render_face(params_i: np.void, size: int = 48) -> np.ndarray:
    """Render one face.

    Args:
        params_i (np.void): One element of the array that
            :func:`~mmfer.datasets.synthetic_faces.sample_faces` returns.
        size (int): Width and height of the image in pixels, in [16, 512].
            Defaults to 48.

    Returns:
        np.ndarray: (size, size) uint8 grey image. The same face always gives
        the same image, including the noise.

    Raises:
        TypeError: ``params_i`` is not of
            :data:`~mmfer.datasets.synthetic_faces.FACE_DTYPE`.
        ValueError: ``size`` is out of range or not an integer, or
            ``params_i`` has more than one face.
    """
    _check_params(params_i)
    size = int(whole_number('', 'size', size, _MIN_SIZE, _MAX_SIZE))
    if np.ndim(params_i):
        raise ValueError(
            'render_face draws one face, got an array of shape '
            f'{np.shape(params_i)}. For several faces, use render_faces.'
        )
    face = Face(**dict(zip(params_i.dtype.names or (), params_i.item())))
    canvas = draw_face(face).paint(face, size * _OVERSAMPLING)
    return _apply_camera(canvas, face, size)


def render_faces(params: np.ndarray, size: int = 48) -> np.ndarray:
    """Render many faces; see :func:`render_face`.

    Args:
        params (np.ndarray): (N,) of
            :data:`~mmfer.datasets.synthetic_faces.FACE_DTYPE`, N may be 0.
        size (int): Width and height of the images in pixels, in [16, 512].
            Defaults to 48.

    Returns:
        np.ndarray: (N, size, size) uint8 grey images.

    Raises:
        TypeError: ``params`` is not of
            :data:`~mmfer.datasets.synthetic_faces.FACE_DTYPE`.
        ValueError: ``size`` is out of range or not an integer, or ``params``
            is not one-dimensional.
    """
    _check_params(params)
    size = int(whole_number('', 'size', size, _MIN_SIZE, _MAX_SIZE))
    if params.ndim != 1:
        raise ValueError(
            f'params must have one dimension, one face per element, got shape '
            f'{params.shape}. Give params.ravel().'
        )
    images = np.empty((len(params), size, size), np.uint8)
    for i in range(len(params)):
        images[i] = render_face(params[i], size)
    return images


def _check_params(params: Any) -> None:
    """Refuse anything but faces of the right data type."""
    dtype = getattr(params, 'dtype', None)
    if dtype != FACE_DTYPE:
        raise TypeError(
            'faces must be given as a structured array of FACE_DTYPE, got '
            f'{dtype or type(params)}. Make one with sample_faces.'
        )


@functools.lru_cache(maxsize=8)
def _pixel_grid(size: int) -> Tuple[np.ndarray, np.ndarray]:
    """Return the coordinates x (a row) and y (a column) of the pixels, in (-1, 1)."""
    axis = (2 * np.arange(size, dtype=np.float32) + 1) / size - 1
    return axis[None, :].copy(), axis[:, None].copy()


def _apply_camera(canvas: np.ndarray, face: Face, size: int) -> np.ndarray:
    """Apply light, blur and noise to the painted image."""
    image = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA)
    sigma = face.blur * size
    if sigma > 0.25:
        image = cv2.GaussianBlur(image, (0, 0), sigma)
    # With g the gain of the light, a pixel v becomes
    # contrast * (g * v - 128) + 128 + brightness + noise.
    grid_x, grid_y = _pixel_grid(size)
    slope = face.contrast * face.light_strength
    out: np.ndarray = np.float32(slope * math.cos(face.light_direction)) * grid_x
    out = (
        out
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
