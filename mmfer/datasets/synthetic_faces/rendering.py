"""Rendering of faces: from parameters to grey images with light, blur and noise."""

import functools
import math
from typing import Any, Tuple

import cv2
import numpy as np

from mmfer.utils.checks import whole_number

from .canvas import Faces, each
from .drawing import draw_faces
from .parameters import FACE_DTYPE

_MIN_SIZE, _MAX_SIZE = 16, 512
# A face is drawn at this multiple of its size, then reduced.
_OVERSAMPLING = 2
# Number of pixels that are rendered together; they fit the cache of a processor.
_PIXELS_AT_ONCE = 1 << 18


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
    return _render(np.array([params_i], FACE_DTYPE), size)[0]


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
    step = max(1, _PIXELS_AT_ONCE // size**2)
    for start in range(0, len(params), step):
        images[start : start + step] = _render(params[start : start + step], size)
    return images


def _render(params: np.ndarray, size: int) -> np.ndarray:
    """Render a few faces together; see :func:`render_faces`."""
    faces = Faces(params)
    canvases = draw_faces(faces).paint(faces, size * _OVERSAMPLING)
    return _apply_camera(canvases, faces, params['noise_seed'], size)


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


def _apply_camera(
    canvases: np.ndarray, faces: Faces, seeds: np.ndarray, size: int
) -> np.ndarray:
    """Apply light, blur and noise to the painted images.

    Args:
        canvases (np.ndarray): Painted images, uint8, larger than ``size``.
        faces (Faces): Light and camera of each image.
        seeds (np.ndarray): Seed of the noise of each image, (N,).
        size (int): Width and height of the images in pixels.

    Returns:
        np.ndarray: (N, size, size), uint8.
    """
    images = np.empty((len(canvases), size, size), np.uint8)
    noise = np.zeros((len(canvases), size, size), np.float32)
    sigmas = (faces.blur * size).ravel().tolist()
    strengths = faces.noise.ravel().tolist()
    for i, canvas in enumerate(canvases):
        image = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA)
        if sigmas[i] > 0.25:
            image = cv2.GaussianBlur(image, (0, 0), sigmas[i])
        images[i] = image
        if strengths[i] > 0:
            rng = np.random.default_rng(int(seeds[i]))
            rng.standard_normal(dtype=np.float32, out=noise[i])
            noise[i] *= np.float32(strengths[i])

    def single(values: np.ndarray) -> np.ndarray:
        return values.astype(np.float32)[..., None]

    # With g the gain of the light, a pixel v becomes
    # contrast * (g * v - 128) + 128 + brightness + noise.
    grid_x, grid_y = _pixel_grid(size)
    slope = faces.contrast * faces.light_strength
    angle = faces.light_direction
    out = single(slope * each(math.cos, angle)) * grid_x
    out = out + single(faces.contrast) + single(slope * each(math.sin, angle)) * grid_y
    out *= images
    out += single(128 * (1 - faces.contrast) + faces.brightness)
    out += noise
    np.rint(out, out=out)
    np.clip(out, 0, 255, out=out)
    return out.astype(np.uint8)
