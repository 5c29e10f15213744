"""Folders of drawn faces as users have them, for the tests of the scan."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from mmfer.datasets import SyntheticFaces

NAMES = ('wütend', 'disgust', 'fear', 'glad face', 'neutral', 'sad', 'überrascht')


def draw_faces(count: int, seed: int = 0):
    """Drawn faces and their classes; the expressions are clear."""
    dataset = SyntheticFaces(num_samples=count, seed=seed, ambiguity=0)
    dataset.full_init()
    return dataset._images, dataset.given_labels


def wrong_labels(labels, share: float, seed: int = 0, classes: int = 7):
    """Labels of which a share is another class."""
    rng = np.random.default_rng(seed)
    rows = rng.choice(len(labels), int(share * len(labels)), replace=False)
    given = labels.copy()
    given[rows] = (given[rows] + rng.integers(1, classes, len(rows))) % classes
    return given


def write_face(path: Path, image: np.ndarray, kind: int = 0) -> Path:
    """Write a grey image in one of eight forms; return the path with its ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(image)
    colour = picture.convert('RGB')
    endings = ('.png', '.JPG', '.webp', '.bmp', '.png', '.png', '.png', '.jpeg')
    path = path.with_name(path.name + endings[kind % 8])
    if kind % 8 == 1:
        colour.save(path, quality=92)
    elif kind % 8 == 2:
        colour.save(path, lossless=True)
    elif kind % 8 == 4:
        picture.save(path)
    elif kind % 8 == 5:
        colour.convert('RGBA').save(path)
    elif kind % 8 == 6:
        cv2.imencode('.png', image.astype(np.uint16) * 257)[1].tofile(path)
    elif kind % 8 == 7:
        picture.resize((120, 120)).save(path, quality=90)
    else:
        colour.save(path)
    return path


def make_folder(root: Path, count: int = 240, wrong: float = 0.25, seed: int = 0):
    """A folder per class in mixed formats; return relative paths and true classes."""
    images, labels = draw_faces(count, seed)
    given = wrong_labels(labels, wrong, seed)
    truth = {}
    for row in range(count):
        name = f'foto {row:03d} ä' if row % 5 == 0 else f'{row:03d}'
        path = write_face(root / NAMES[given[row]] / name, images[row], row)
        truth[str(path.relative_to(root))] = NAMES[labels[row]]
    return truth


def huge_png(side: int = 100_000) -> bytes:
    """A small file whose header claims side x side pixels."""
    header = struct.pack('>IIBBBBB', side, side, 8, 0, 0, 0, 0)
    return (
        b'\x89PNG\r\n\x1a\n'
        + _chunk(b'IHDR', header)
        + _chunk(b'IDAT', zlib.compress(bytes(1000)))
        + _chunk(b'IEND', b'')
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = struct.pack('>I', zlib.crc32(kind + data))
    return struct.pack('>I', len(data)) + kind + data + check
