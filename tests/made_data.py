"""Small made trees in the layouts of the published data sets."""
from pathlib import Path

import cv2
import numpy as np


def write_image(path: Path, size: int, seed: int, grey: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (size, size) if grey else (size, size, 3)
    image = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    assert cv2.imwrite(str(path), image)


def make_rafdb(root: Path, train: int = 14, test: int = 7) -> Path:
    """RAF-DB as published, labels 1 to 7 in turn."""
    lines = []
    for split, count in (('train', train), ('test', test)):
        for i in range(count):
            name = f'{split}_{i + 1:05d}'
            lines.append(f'{name}.jpg {i % 7 + 1}')
            write_image(root / f'Image/aligned/{name}_aligned.jpg', 20, i)
    (root / 'EmoLabel').mkdir(parents=True)
    (root / 'EmoLabel/list_patition_label.txt').write_text('\n'.join(lines))
    return root


def make_ferplus(root: Path, train: int = 16, valid: int = 8) -> Path:
    """FERPlus as published, one clear label per image."""
    lines = [
        'Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,'
        'fear,contempt,unknown,NF'
    ]
    number = 0
    for usage, folder, count in (('Training', 'FER2013Train', train),
                                 ('PublicTest', 'FER2013Valid', valid)):
        for i in range(count):
            votes = [0] * 10
            votes[i % 8] = 9
            votes[(i + 1) % 8] = 1
            name = f'fer{number:07d}.png'
            lines.append(','.join([usage, name, *map(str, votes)]))
            write_image(root / folder / name, 48, number, grey=True)
            number += 1
    (root / 'fer2013new.csv').write_text('\n'.join(lines) + '\n')
    return root
