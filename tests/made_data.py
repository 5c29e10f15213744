"""Small made trees in the layouts of the published data sets."""

import gzip
import struct
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


def make_expw(root: Path, count: int = 40) -> Path:
    """ExpW as published: the photo of face i is i // 2, its label i % 7."""
    rows = []
    for i in range(count):
        photo, face = divmod(i, 2)
        write_image(root / f'image/happy_man_{photo}.jpg', 60, photo)
        box = (5, 10 + face, 40 + face, 35)  # top, left, right, bottom
        values = ' '.join(map(str, box))
        rows.append(f'happy_man_{photo}.jpg {face} {values} 22.9362 {i % 7}\n')
    (root / 'label.lst').write_text(''.join(rows))
    return root


def make_ferplus(root: Path, train: int = 16, valid: int = 8, test: int = 8) -> Path:
    """FERPlus as published, one clear label per image."""
    lines = [
        'Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,'
        'fear,contempt,unknown,NF'
    ]
    number = 0
    for usage, folder, count in (
        ('Training', 'FER2013Train', train),
        ('PublicTest', 'FER2013Valid', valid),
        ('PrivateTest', 'FER2013Test', test),
    ):
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


AFFECTNET_COLUMNS = (
    'subDirectory_filePath,face_x,face_y,face_width,'
    'face_height,facial_landmarks,expression,valence,arousal'
)


def make_affectnet(
    root: Path,
    release: str = 'csv',
    train: int = 22,
    val: int = 16,
    header: bool = True,
) -> Path:
    """AffectNet as published, expressions 0 to 10 in turn.

    Image i of a split has valence i / 100 and arousal -i / 100; those that
    show no expression have -2. ``release`` is ``'csv'`` or ``'npy'``, which
    has images of expressions only.
    """
    for split, folder, count in (
        ('training', 'train_set', train),
        ('validation', 'val_set', val),
    ):
        rows = [AFFECTNET_COLUMNS] if header else []
        for i in range(count):
            expression, pair = i % 11, (i / 100, -i / 100)
            if release == 'npy':
                expression = i % 8
                write_image(root / folder / f'images/{i}.jpg', 20, i)
                write_annotation(root / folder / 'annotations', i, expression, *pair)
                continue
            if expression > 7:
                pair = (-2, -2)
            name = f'{i % 3 + 1}/{split}{i}.jpg'
            write_image(root / 'Manually_Annotated_Images' / name, 20, i)
            rows.append(
                f'{name},1,2,15,16,1.5;2.5;3.5,{expression},{pair[0]},{pair[1]}'
            )
        if release == 'csv':
            lists = root / 'Manually_Annotated_file_lists'
            lists.mkdir(exist_ok=True)
            (lists / f'{split}.csv').write_text('\n'.join(rows) + '\n')
    return root


def write_annotation(folder: Path, name, expression, valence, arousal) -> None:
    """One image of AffectNet's per-image release: scalars, as text."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, value in (('exp', expression), ('val', valence), ('aro', arousal)):
        np.save(folder / f'{name}_{kind}.npy', np.array(str(value)))


PACS_DOMAINS = ('art_painting', 'cartoon', 'photo', 'sketch')
PACS_CLASSES = ('dog', 'elephant', 'giraffe', 'guitar', 'horse', 'house', 'person')


def make_pacs(root: Path, images: str = 'kfold', lists: str = 'splits') -> Path:
    """PACS as published: two images of each class and domain, one in a training list.

    The lists of the sketches name a file that is damaged, and that is missing here.
    """
    (root / lists).mkdir(parents=True, exist_ok=True)
    for number, domain in enumerate(PACS_DOMAINS):
        rows = dict(train=[], test=[])
        for label, name in enumerate(PACS_CLASSES):
            for i in range(2):
                image = f'{domain}/{name}/pic_{i + 1:03d}.jpg'
                write_image(root / images / image, 20, 100 * number + 10 * label + i)
                for split in ('train', 'test')[i:]:
                    rows[split].append(f'{image} {label + 1}')
        if domain == 'sketch':
            for split in rows:
                rows[split].append('sketch/dog/n02103406_4068-1.png 1')
        for split, lines in rows.items():
            path = root / lists / f'{domain}_{split}_kfold.txt'
            path.write_text('\n'.join(lines) + '\n')
    return root


def make_office_home(root: Path, classes, real: str = 'Real World') -> Path:
    """Office-Home as published: an image of each class and domain."""
    for number, domain in enumerate(('Art', 'Clipart', 'Product', real)):
        for label, name in enumerate(classes):
            path = root / domain / name / '00001.jpg'
            write_image(path, 12, 100 * number + label)
    return root


def cifar_planes(count: int, seed: int) -> np.ndarray:
    """Pixels as CIFAR's batches have them: uint8 (N, 3072), R, G, B."""
    shape = (count, 3 * 32 * 32)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def python2_pickle(batch: dict) -> bytes:
    """A batch as Python 2 pickled it: its strings hold bytes."""

    def text(value: bytes) -> bytes:
        return b'T' + struct.pack('<I', len(value)) + value

    def number(value: int) -> bytes:
        return b'J' + struct.pack('<i', value)

    def items(values) -> bytes:
        return b'](' + b''.join(values) + b'e'

    pixels = batch['data']
    dtype = (
        b'cnumpy\ndtype\n('
        + text(b'u1')
        + b'K\x00K\x01tR(K\x03'
        + text(b'|')
        + b'NNN'
        + number(-1) * 2
        + b'K\x00tb'
    )
    array = (
        b'cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n'
        b'(K\x00t'
        + text(b'b')
        + b'tR(K\x01('
        + number(len(pixels))
        + number(pixels.shape[1])
        + b't'
        + dtype
        + b'\x89'
        + text(pixels.tobytes())
        + b'tb'
    )
    parts = [text(b'data') + array]
    for key, values in batch.items():
        if key == 'data':
            continue
        parts.append(
            text(key.encode())
            + items(
                number(v) if isinstance(v, int) else text(v.encode()) for v in values
            )
        )
    return b'\x80\x02}(' + b''.join(parts) + b'u.'


def write_cifar_batch(
    path: Path, planes: np.ndarray, labels, key: str = 'labels'
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    batch = dict(data=planes, filenames=['a_s_000001.png'] * len(planes))
    if key == 'fine_labels':
        batch['coarse_labels'] = [0] * len(planes)
    batch[key] = [int(label) for label in labels]
    path.write_bytes(python2_pickle(batch))


def write_cifar_images(root: Path, split: str, planes: np.ndarray, labels) -> None:
    """Numbered images beside a list, without loss."""
    (root / split).mkdir(parents=True)
    rows = []
    for i, image in enumerate(planes.reshape(-1, 3, 32, 32)):
        bgr = image[::-1].transpose(1, 2, 0)
        assert cv2.imwrite(str(root / split / f'{i:05d}.png'), bgr)
        rows.append(f'{i:05d}.png {labels[i]}\n')
    (root / f'{split}.txt').write_text(''.join(rows))


def make_cifar10(
    root: Path, train: int = 50, test: int = 20, layout: str = 'batches'
) -> Path:
    """CIFAR-10 as published, or as images with lists (``'list'``).

    Image i has label i % 10 and the pixels of ``cifar_planes``, seed 0 for
    the training and 1 for the test split.
    """
    for split, count, seed in (('train', train, 0), ('test', test, 1)):
        planes, labels = cifar_planes(count, seed), np.arange(count) % 10
        if layout == 'list':
            write_cifar_images(root, split, planes, labels)
            continue
        names = (
            ['test_batch']
            if split == 'test'
            else [f'data_batch_{i}' for i in range(1, 6)]
        )
        for name, pixels, part in zip(
            names,
            np.array_split(planes, len(names)),
            np.array_split(labels, len(names)),
        ):
            write_cifar_batch(root / 'cifar-10-batches-py' / name, pixels, part)
    return root


def make_cifar100(root: Path, train: int = 200, test: int = 100) -> Path:
    """CIFAR-100 as published, fine labels in turn."""
    for split, count, seed in (('train', train, 0), ('test', test, 1)):
        write_cifar_batch(
            root / 'cifar-100-python' / split,
            cifar_planes(count, seed),
            np.arange(count) % 100,
            'fine_labels',
        )
    return root


def idx_bytes(array: np.ndarray) -> bytes:
    """An array of bytes as an IDX file has it."""
    sizes = struct.pack(f'>{array.ndim}I', *array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


def mnist_arrays(count: int, seed: int):
    """Images uint8 (N, 28, 28) with labels 0 to 9 in turn."""
    images = np.random.default_rng(seed).integers(0, 256, (count, 28, 28), np.uint8)
    return images, (np.arange(count) % 10).astype(np.uint8)


def make_mnist(
    root: Path, train: int = 30, test: int = 20, zipped: bool = True
) -> Path:
    """MNIST as published; seed 0 has the training and 1 the test images."""
    root.mkdir(parents=True, exist_ok=True)
    for prefix, count, seed in (('train', train, 0), ('t10k', test, 1)):
        images, labels = mnist_arrays(count, seed)
        for kind, array in (('images-idx3', images), ('labels-idx1', labels)):
            data, name = idx_bytes(array), f'{prefix}-{kind}-ubyte'
            if zipped:
                (root / f'{name}.gz').write_bytes(gzip.compress(data))
            else:
                (root / name).write_bytes(data)
    return root


FER2013_USAGES = ('Training', 'PublicTest', 'PrivateTest')


def fer2013_images(count: int) -> np.ndarray:
    """Pixels of the rows of a made table, uint8 (N, 48, 48)."""
    return np.random.default_rng(0).integers(0, 256, (count, 48, 48), np.uint8)


def make_fer2013(root: Path, train: int = 21, valid: int = 14, test: int = 14) -> Path:
    """FER2013 as published; row i has the emotion i % 7."""
    usages = sum(([u] * n for u, n in zip(FER2013_USAGES, (train, valid, test))), [])
    lines = ['emotion,pixels,Usage']
    for i, image in enumerate(fer2013_images(len(usages))):
        lines.append(f'{i % 7},{" ".join(map(str, image.ravel()))},{usages[i]}')
    root.mkdir(parents=True, exist_ok=True)
    (root / 'fer2013.csv').write_text('\n'.join(lines) + '\n')
    return root
