"""Made data sets of any size, in the layout of AffectNet's CSV release."""

import hashlib
import os
import os.path as osp
from typing import List

import cv2
import numpy as np

CLASS_COUNTS = (74874, 134415, 25459, 14090, 6378, 3803, 24882, 3750)
"""Training images of AffectNet with each of the eight expressions."""

LINKS_PER_FILE = 30_000
"""Number of names that one image file gets; ext4 allows 65,000."""

IMAGES_PER_FOLDER = 200
SIDE = 64

_HEADER = (
    'subDirectory_filePath,face_x,face_y,face_width,face_height,'
    'facial_landmarks,expression,valence,arousal\n'
)
# The release has 68 points for each face, most of the bytes of its tables.
_LANDMARKS = ';'.join(f'{100 + 1.37 * i:.2f}' for i in range(136))


def make_affectnet(root: str, count: int, seed: int = 0) -> str:
    """Make a training set like AffectNet's, of ``count`` samples.

    The table has the columns and the length of the published rows. Names of
    images have 56 hexadecimal digits, in folders of :data:`IMAGES_PER_FOLDER`.
    The images are a few drawn JPEGs, and all names are hard links to them.

    Args:
        root (str): Folder to write to, on one file system.
        count (int): Number of samples.
        seed (int): Seed of labels, valence and arousal. Defaults to 0.

    Returns:
        str: ``root``, for ``data_root`` of the data set.
    """
    rng = np.random.default_rng(seed)
    shares = np.array(CLASS_COUNTS) / sum(CLASS_COUNTS)
    # Every class has samples, also in a small set.
    labels = np.append(np.arange(8), rng.choice(8, count, p=shares))[:count]
    va = np.round(rng.uniform(-1, 1, (count, 2)), 6)
    names = [_image_name(i) for i in range(count)]
    _link_images(osp.join(root, 'Manually_Annotated_Images'), names, rng)
    folder = osp.join(root, 'Manually_Annotated_file_lists')
    os.makedirs(folder, exist_ok=True)
    with open(osp.join(folder, 'training.csv'), 'w') as file:
        file.write(_HEADER)
        file.writelines(
            f'{name},134,134,899,899,{_LANDMARKS},{label},{valence},{arousal}\n'
            for name, label, (valence, arousal) in zip(
                names, labels.tolist(), va.tolist()
            )
        )
    return root


def _image_name(number: int) -> str:
    """Return the name of an image as AffectNet names it: folder and hash."""
    digits = hashlib.sha224(str(number).encode()).hexdigest()
    return f'{number // IMAGES_PER_FOLDER + 1}/{digits}.jpg'


def _link_images(root: str, names: List[str], rng: np.random.Generator) -> None:
    """Write a few images below ``root``, and give each name one of them."""
    for number, name in enumerate(names):
        path = osp.join(root, name)
        if number % IMAGES_PER_FOLDER == 0:
            os.makedirs(osp.dirname(path), exist_ok=True)
        if number % LINKS_PER_FILE == 0:
            first = path
            small = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            cv2.imwrite(path, cv2.resize(small, (SIDE, SIDE)))
        else:
            os.link(first, path)
