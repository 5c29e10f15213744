"""One pass over images: decode each once, and keep what extractors compute."""

import hashlib
import json
import os.path as osp
import tempfile
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Protocol, Sequence, Tuple, Union

import cv2
import numpy as np
import PIL
from mmengine.logging import print_log

from mmfer.datasets import FERDataset
from mmfer.utils.cache import Cache, CacheUnavailableError, Lease, Partial, cache_budget
from mmfer.utils.progress import Progress

from .feature_files import FORMAT, ProgressCallback, fill_folder, is_whole, open_arrays
from .image_sources import ImageSource

# Kind of the entries in the cache.
KIND = 'features'
Outputs = Mapping[str, Tuple[Tuple[int, ...], str]]


class Extractor(Protocol):
    """Function of images whose results are kept, such as an encoder.

    Attributes:
        name (str): Name for messages.
        version (str): All that decides the results besides the images: the recipe,
            its options, a hash of the weights. Another version is computed anew.
        outputs (Mapping): ``{name: (shape, dtype)}`` of the results for one image,
            such as ``{'pixels': ((576,), 'float16')}``. Names are identifiers.
    """

    name: str
    version: str
    outputs: Outputs

    def __call__(self, images: List[np.ndarray]) -> Mapping[str, np.ndarray]:
        """Return the results of B images.

        Args:
            images (list[np.ndarray]): uint8 BGR (H, W, 3), upright, of any sizes.

        Returns:
            Mapping[str, np.ndarray]: For each name in ``outputs``, (B, *shape).
        """
        ...


@dataclass
class Extracted:
    """Results of extractors for N images.

    Attributes:
        arrays (dict[str, np.ndarray]): (N, *shape) by the name of the output. They
            are read-only memory maps. Rows of unreadable images are 0.
        errors (dict[int, str]): Why an image cannot be read, by its row.
        valid (np.ndarray): Whether an image could be read, bool (N,).
        cached (bool): Whether the results were there from an earlier call.
    """

    arrays: Dict[str, np.ndarray]
    errors: Dict[int, str]
    valid: np.ndarray
    cached: bool
    # The files exist as long as this does.
    _keep: Any = field(default=None, repr=False)


def extract(
    source: Union[FERDataset, Sequence[str]],
    extractors: Sequence[Extractor],
    name: str = 'images',
    progress: Union[ProgressCallback, None] = None,
    cache: bool = True,
) -> Extracted:
    """Decode each image once, and return what all extractors make of it.

    The results are kept in the cache by the contents of the images and by the
    versions of the extractors, so that a second call reads no image but for its
    hash. If a call is killed, the next one continues. An image that cannot be read is
    noted in ``errors`` and stops nothing. Memory does not grow with the images.

    Args:
        source (FERDataset | Sequence[str]): Paths, or a data set, whose images are
            taken in the order of its samples.
        extractors (Sequence[Extractor]): The names of all outputs must differ.
        name (str): Name of the images, for messages and the list of the cache.
        progress (Callable, optional): Called with the numbers of finished and of all
            images. Defaults to None: a bar on a terminal, or lines in the log.
        cache (bool): Keep the results in the cache. Otherwise, and if the cache
            cannot be used, they lie in a temporary folder. Defaults to True.

    Raises:
        ValueError: There is no image, or two outputs have the same name.
    """
    images = ImageSource(source)
    outputs = _all_outputs(extractors)
    if not len(images):
        raise ValueError(f'{name}: there is no image to extract features from.')
    shown = Progress(f'{name}: features') if progress is None else progress
    built = False

    def build(folder: str) -> Dict[str, Any]:
        nonlocal built
        built = True
        return fill_folder(folder, images, extractors, outputs, shown)

    keep: Any = None
    if cache and cache_budget():
        try:
            keep = _obtain(images, extractors, outputs, name, build)
        except CacheUnavailableError as error:
            print_log(f'{name}: features are not cached, because {error}.', 'current')
    if keep is None:
        keep = tempfile.TemporaryDirectory(prefix='mmfer-features-')
        build(keep.name)
    folder = keep.folder if isinstance(keep, Lease) else keep.name
    arrays, errors = open_arrays(folder, outputs, len(images))
    valid = np.ones(len(images), bool)
    valid[list(errors)] = False
    return Extracted(arrays, errors, valid, not built, keep)


def _all_outputs(extractors: Sequence[Extractor]) -> Dict[str, Tuple]:
    """Return the outputs of all extractors; refuse names that occur twice."""
    outputs: Dict[str, Tuple] = {}
    for extractor in extractors:
        for key, value in extractor.outputs.items():
            if key in outputs or not key.isidentifier():
                raise ValueError(
                    f'extract: the output {key!r} of the extractor {extractor.name!r} '
                    'is no identifier, or another extractor has it, too. Rename it.'
                )
            outputs[key] = value
    return outputs


def _obtain(
    images: ImageSource,
    extractors: Sequence[Extractor],
    outputs: Outputs,
    name: str,
    build: Any,
) -> Lease:
    """Return the entry of the cache with the results; build it if there is none."""
    recipe = dict(
        format=FORMAT,
        images=images.fingerprint(),
        # Other versions may decode a file to other pixels.
        decoders=[cv2.__version__, PIL.__version__],
        extractors=[[e.name, e.version, _plain(e.outputs)] for e in extractors],
    )
    key = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()
    count = len(images)

    def fill(partial: Partial) -> Dict[str, Any]:
        row = sum(np.dtype(d).itemsize * int(np.prod(s)) for s, d in outputs.values())
        partial.reserve(count * row + (1 << 16))
        header = build(partial.folder)
        names = ', '.join(e.name for e in extractors)
        return dict(header, holds=f'{names} of {count} images')

    def is_valid(folder: str, header: dict) -> bool:
        return is_whole(folder, header, outputs, count)

    return Cache().obtain(KIND, key, osp.basename(name) or name, is_valid, fill)


def _plain(outputs: Outputs) -> List:
    """Return outputs in a form that JSON always writes in the same way."""
    return [[n, list(s), np.dtype(d).str] for n, (s, d) in sorted(outputs.items())]
