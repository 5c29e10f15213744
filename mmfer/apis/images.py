"""Turn the inputs of ``FERInferencer`` into single images."""

import logging
import os
import os.path as osp
from pathlib import Path
from typing import Any, Iterable, Iterator, Union

import numpy as np
from mmengine.logging import print_log

from mmfer.datasets.images import (
    IMAGE_EXTENSIONS,
    describe_ignored,
    find_images,
    is_file_object,
    is_pil_image,
    refuse_channels_first,
)


def list_images(folder: Union[str, os.PathLike]) -> list:
    """Return the image files of a folder and its subfolders, sorted by name.

    Raises:
        FileNotFoundError: There is no image.
    """
    found, others = find_images(str(Path(folder).expanduser()))
    if others:
        print_log(
            describe_ignored(others, 'FERInferencer'), 'current', level=logging.WARNING
        )
    if not found:
        raise FileNotFoundError(
            f'{folder}: no image in this folder or its subfolders. Names of '
            f'images end in {", ".join(IMAGE_EXTENSIONS)}.'
        )
    return found


def each_source(inputs: Any) -> Iterable:
    """Return an iterable of the images to classify.

    Args:
        inputs (Any): One of

            - an image, see :func:`~mmfer.datasets.images.read_image`,
            - a folder,
            - an array of several images, uint8 (N, H, W) or (N, H, W, C),
            - any iterable of images: a list, an array of paths, or a
              generator of the frames of a video.

    Raises:
        ValueError: An array has its channels first. An array of three grey
            images looks the same, so give these as a list.
        TypeError: The inputs are of another type.
    """
    if isinstance(inputs, (str, os.PathLike)) and osp.isdir(
        osp.expanduser(os.fspath(inputs))
    ):
        return list_images(inputs)
    if isinstance(inputs, np.ndarray) and inputs.dtype.kind in 'OU':
        # The array has paths, or images of different sizes.
        return inputs.ravel().tolist()
    if isinstance(inputs, np.ndarray):
        if inputs.ndim and len(inputs) == 3:
            refuse_channels_first(inputs)
        several = inputs.ndim == 4 or (
            inputs.ndim == 3 and inputs.shape[2] not in (1, 3, 4)
        )
        return list(inputs) if several else [inputs]
    if (
        isinstance(inputs, (str, os.PathLike, bytes, bytearray, memoryview))
        or is_pil_image(inputs)
        or is_file_object(inputs)
    ):
        return [inputs]
    if not isinstance(inputs, Iterable):
        raise TypeError(
            'images must be paths, bytes, open files, arrays, PIL images, '
            f'or a list or generator of them, got {type(inputs).__name__}'
        )
    return inputs


def in_chunks(items: Iterable, size: int) -> Iterator[list]:
    """Yield lists of ``size`` items; the last one may be shorter."""
    chunk: list = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
