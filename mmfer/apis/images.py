"""Turn the inputs of ``FERInferencer`` into single images."""

import logging
import os
import os.path as osp
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable, Iterator, Optional, Sequence, Union

import numpy as np
import torch
from mmengine.logging import print_log

from mmfer.datasets.images import (
    IMAGE_EXTENSIONS,
    describe_ignored,
    find_images,
    is_file_object,
    is_pil_image,
    refuse_channels_first,
)


@dataclass(frozen=True, eq=False)
class Frame:
    """Frame of a video or of a camera, with its place in it.

    Attributes:
        image (Any): See :func:`~mmfer.datasets.images.read_image`.
        number (int): Number of the frame, from 0.
        time (float, optional): Seconds since the first frame.
        path (str, optional): File of the video.
    """

    image: Any
    number: int
    time: Optional[float] = None
    path: Optional[str] = None


def describe_source(source: Any, index: int) -> dict:
    """Return where an image comes from, as plain types.

    Args:
        source (Any): One of the images that :func:`each_source` gives.
        index (int): Its number among them, from 0.

    Returns:
        dict: ``path`` of a file; ``path``, ``frame`` and ``time`` of a
        :class:`Frame`, as far as they are known; ``index`` of anything else.
    """
    if isinstance(source, Frame):
        place = dict(path=source.path, frame=source.number, time=source.time)
        return {key: value for key, value in place.items() if value is not None}
    if not isinstance(source, (str, os.PathLike)):
        # Open files and images of PIL know their file, if they have one.
        attribute = 'filename' if is_pil_image(source) else 'name'
        source = getattr(source, attribute, None)
    if isinstance(source, (str, os.PathLike)) and os.fspath(source):
        return dict(path=str(os.fsdecode(source)))
    return dict(index=index)


def list_images(
    folder: Union[str, os.PathLike], extensions: Sequence[str] = IMAGE_EXTENSIONS
) -> list:
    """Return the image files of a folder and its subfolders, sorted by name.

    Args:
        folder (str): Folder.
        extensions (sequence[str]): Endings of the names, lower case. Defaults to those
            of images.

    Raises:
        FileNotFoundError: There is no image.
    """
    found, others = find_images(str(Path(folder).expanduser()), extensions)
    if others:
        print_log(
            describe_ignored(others, 'FERInferencer', extensions),
            'current',
            level=logging.WARNING,
        )
    if not found:
        raise FileNotFoundError(
            f'{folder}: no image in this folder or its subfolders. Names of '
            f'images end in {", ".join(extensions)}.'
        )
    return found


def is_one_image(inputs: Any) -> bool:
    """Return whether the inputs of a call are one image, not a folder or several.

    Args:
        inputs (Any): See :func:`each_source`.
    """
    if isinstance(inputs, (str, os.PathLike)):
        return not osp.isdir(osp.expanduser(os.fspath(inputs)))
    if isinstance(inputs, np.ndarray):
        return inputs.dtype.kind not in 'OU' and not _has_several(inputs)
    return (
        isinstance(inputs, (bytes, bytearray, memoryview, Frame))
        or is_pil_image(inputs)
        or is_file_object(inputs)
    )


def _has_several(images: np.ndarray) -> bool:
    """Return whether an array has several images, not one."""
    return images.ndim == 4 or (images.ndim == 3 and images.shape[2] not in (1, 3, 4))


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
    if isinstance(inputs, (str, os.PathLike)) and not is_one_image(inputs):
        return list_images(inputs)
    if isinstance(inputs, np.ndarray) and inputs.dtype.kind in 'OU':
        # The array has paths, or images of different sizes.
        return inputs.ravel().tolist()
    if isinstance(inputs, np.ndarray):
        if inputs.ndim and len(inputs) == 3:
            refuse_channels_first(inputs)
        return list(inputs) if _has_several(inputs) else [inputs]
    if is_one_image(inputs):
        return [inputs]
    if isinstance(inputs, torch.Tensor):
        # Its rows would be taken for images.
        raise TypeError(
            'images must not be tensors of torch: give arrays of uint8, such as '
            'image.numpy(), of the shape (H, W, 3) with blue first'
        )
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
