"""Images of noise in the published layouts of RAF-DB and FERPlus.

With them, anybody can measure speed without the data. The labels have no meaning.
"""

import csv
from pathlib import Path
from typing import List, Sequence

import cv2
import numpy as np
from mmengine.config import Config

from mmfer.datasets.ferplus import HEADER, NUM_COLUMNS, SPLITS, TABLE
from mmfer.datasets.lists import RAFDB_CLASS_COUNTS, RAFDB_LIST_NAMES

# Number of different images. More would take time to draw and none to read.
DIFFERENT = 512
# Side of the files, as published.
RAFDB_PX, FERPLUS_PX = 100, 48
VOTES = 10


def draw_files(suffix: str, size: int, channels: int) -> List[bytes]:
    """Draw smooth images with a little noise, and compress them.

    A JPEG of 100 px takes about 4 kB, as an aligned face of RAF-DB does. Pure noise
    would take three times as much, and longer to decode.

    Args:
        suffix (str): ``'.jpg'`` or ``'.png'``.
        size (int): Height and width.
        channels (int): 1 or 3.

    Returns:
        list[bytes]: Contents of :data:`DIFFERENT` files.
    """
    rng = np.random.default_rng(0)
    files = []
    for _ in range(DIFFERENT):
        coarse = rng.uniform(0, 255, (8, 8, channels)).astype(np.float32)
        image = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
        image = image.reshape(size, size, channels)
        noisy = image + rng.normal(0, 4, image.shape)
        pixels = noisy.clip(0, 255).astype(np.uint8)
        files.append(cv2.imencode(suffix, pixels)[1].tobytes())
    return files


def write_rafdb(root: Path, train: int, test: int) -> None:
    """Write a set in RAF-DB's layout, with RAF-DB's class counts if it is complete.

    Args:
        root (Path): Folder for the set.
        train (int): Training images, at most 12,271.
        test (int): Test images, at most 3,068.

    Raises:
        ValueError: RAF-DB has fewer images.
    """
    images = root / 'Image/aligned'
    images.mkdir(parents=True, exist_ok=True)
    (root / 'EmoLabel').mkdir(exist_ok=True)
    files = draw_files('.jpg', RAFDB_PX, 3)
    lines = []
    for split, count in dict(train=train, test=test).items():
        labels = rafdb_labels(split, count)
        for number, label in enumerate(labels, 1):
            name = f'{split}_{number:05d}'
            lines.append(f'{name}.jpg {label + 1}')
            path = images / f'{name}_aligned.jpg'
            path.write_bytes(files[number % DIFFERENT])
    path = root / 'EmoLabel' / RAFDB_LIST_NAMES[0]
    path.write_text('\n'.join(lines) + '\n')


def rafdb_labels(split: str, count: int) -> np.ndarray:
    """Draw labels without exceeding RAF-DB's class counts, int64 (count, ).

    Args:
        split (str): ``'train'`` or ``'test'``.
        count (int): Number of labels.

    Raises:
        ValueError: The split of RAF-DB is smaller.
    """
    counts = RAFDB_CLASS_COUNTS[split]
    if not 0 < count <= sum(counts):
        raise ValueError(
            f'{count} made {split} images: RAF-DB has {sum(counts)}, and the reader '
            'of its list refuses more. Make fewer, or measure a config on FERPlus.'
        )
    everything = np.repeat(np.arange(len(counts)), counts)
    return np.random.default_rng(0).permutation(everything)[:count]


def write_ferplus(root: Path, train: int, valid: int) -> None:
    """Write a set in FERPlus's layout, with ten votes for one emotion per image.

    Args:
        root (Path): Folder for the set.
        train (int): Training images.
        valid (int): Validation images.
    """
    files = draw_files('.png', FERPLUS_PX, 1)
    rows: List[Sequence] = [HEADER]
    for split, count in dict(train=train, valid=valid).items():
        usage, folder = SPLITS[split]
        (root / folder).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            name = f'fer{len(rows) - 1:07d}.png'
            (root / folder / name).write_bytes(files[number % DIFFERENT])
            votes = [VOTES * (i == number % 8) for i in range(NUM_COLUMNS)]
            rows.append([usage, name, *votes])
    with open(root / TABLE, 'w', newline='') as file:
        csv.writer(file, lineterminator='\n').writerows(rows)


WRITERS = dict(RAFDB=write_rafdb, FERPlus=write_ferplus)


def use_made_images(cfg: Config, root: Path, count: int) -> None:
    """Write a set for a training config, and let the config train on it.

    Args:
        cfg (Config): Training config on RAF-DB or FERPlus; it is changed.
        root (Path): Folder for the set.
        count (int): Training images. There are a quarter as many images in the other
            split.

    Raises:
        ValueError: The config trains on another data set.
    """
    dataset = cfg.train_dataloader.dataset
    if dataset.type not in WRITERS:
        raise ValueError(
            f'images can be made for {" and ".join(WRITERS)}, but the config trains '
            f'on {dataset.type}. Remove --made.'
        )
    WRITERS[dataset.type](root, count, max(1, count // 4))
    dataset.data_root = str(root)
