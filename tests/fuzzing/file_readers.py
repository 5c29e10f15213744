"""Readers of other files: images, arrays, JSON, the cache."""

import io
import json
import os
import shutil
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any, List
from unittest import mock

import numpy as np
from fuzzing.harness import Reader
from fuzzing.text_readers import CLASSES, formatted
from hypothesis import strategies as st
from PIL import Image

from mmfer.analysis.benchmarks.cleanlab_labels import epochs_like
from mmfer.analysis.benchmarks.methods import read_ablation
from mmfer.analysis.label_issues import from_label_issues
from mmfer.datasets import affectnet_annotations
from mmfer.datasets.images import read_image, upright_size
from mmfer.datasets.images.sizes import file_size
from mmfer.datasets.images.store import open_store
from mmfer.engine.stages import load_result, save_result
from mmfer.engine.variants import find_variant, parse_noise
from mmfer.utils.cache import Cache
from mmfer.utils.cache.settings import cache_budget
from mmfer.utils.json_files import read_history, read_json, read_summary

CONFIGS = Path(__file__).parents[2] / 'configs'
HISTORY = [
    dict(epoch=e, seconds=1.5, metrics={'accuracy/top1': 50.0}, losses=dict(loss_g=1.0))
    for e in (1, 2, 3)
]
SUMMARY = dict(
    config='ce', seed=0, noise_auroc=0.9, metrics={'accuracy/top1': dict(last=50.0)}
)
RECORD = dict(subsets=[dict(image_passes=100), dict(image_passes=50)])
ABLATION = b'open_protocol:\n  alum_lc:\n    - model.head.positive=False\n'


# -- images ----------------------------------------------------------------------
def made_images() -> dict:
    """Return small files of every format that Pillow can write here."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (12, 10, 4), np.uint8)
    colour, grey = Image.fromarray(pixels[..., :3]), Image.fromarray(pixels[..., 0])
    clear, wide = Image.fromarray(pixels), Image.fromarray(pixels[..., 0].astype('u2'))
    exif = Image.Exif()
    exif[0x0112] = 6
    forms = {
        'jpeg': [(colour, dict(format='JPEG', exif=exif)), (grey, dict(format='JPEG'))],
        'progressive jpeg': [(colour, dict(format='JPEG', progressive=True))],
        'jpeg with restarts': [(colour, dict(format='JPEG', restart_marker_blocks=1))],
        'png': [(colour, dict(format='PNG')), (wide, dict(format='PNG'))],
        'png with alpha': [(clear, dict(format='PNG', exif=exif))],
        'animated png': [
            (clear, dict(format='PNG', save_all=True, append_images=[clear]))
        ],
        'webp': [
            (colour, dict(format='WEBP')),
            (clear, dict(format='WEBP', lossless=True)),
        ],
        'bmp': [(colour, dict(format='BMP'))],
        'gif': [(colour, dict(format='GIF', save_all=True, append_images=[grey]))],
        'tiff': [
            (wide, dict(format='TIFF')),
            (colour, dict(format='TIFF', compression='tiff_lzw')),
            (clear, dict(format='TIFF', compression='tiff_deflate')),
        ],
        'ppm': [(colour, dict(format='PPM')), (wide, dict(format='PPM'))],
        'jpeg 2000': [(colour, dict(format='JPEG2000'))],
        'avif': [(colour, dict(format='AVIF'))],
        'tga and pcx': [(clear, dict(format='TGA')), (colour, dict(format='PCX'))],
    }
    made = {}
    for name, images in forms.items():
        made[name] = []
        for image, options in images:
            buffer = io.BytesIO()
            try:
                image.save(buffer, **options)
            except (OSError, KeyError):
                # This Pillow lacks the format.
                continue
            made[name].append(buffer.getvalue())
    return {name: files for name, files in made.items() if files}


def decode(path: str) -> Any:
    """Decode an image in both ways, and read its size without decoding."""
    stated, _ = upright_size(path), file_size(path)
    image = read_image(path)
    grey = read_image(path, 'grayscale')
    return image, grey, stated


def check_image(found: Any) -> None:
    """Check the forms of pixels, and that the header states the size of them."""
    image, grey, stated = found
    assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
    assert grey.dtype == np.uint8 and grey.shape == image.shape[:2]
    assert stated in (None, image.shape[:2]), (stated, image.shape)


# -- arrays ----------------------------------------------------------------------
def npy(value: Any) -> bytes:
    """Return a ``.npy`` file."""
    buffer = io.BytesIO()
    np.save(buffer, np.array(value))
    return buffer.getvalue()


def read_npy(path: str) -> Any:
    """Read the file as the annotation of an image of AffectNet."""
    folder = Path(path).parent / 'annotations'
    folder.mkdir(exist_ok=True)
    shutil.copyfile(path, folder / '7_exp.npy')
    for part in ('val', 'aro'):
        (folder / f'7_{part}.npy').write_bytes(npy(0.5))
    try:
        found = affectnet_annotations.read_annotations(str(folder), ['7'])
        return found.labels(), found.va(np.array([0]))
    except ValueError as error:
        assert '7_' in str(error)
        raise ValueError(f'{path}: {error}') from None


# -- tables ----------------------------------------------------------------------
OWN = np.array([0, 3, 6, 2, 1])


@st.composite
def cleanlab_tables(draw: Any) -> bytes:
    """Draw a table as cleanlab and pandas write it."""
    rows: List[Any] = [
        ('', 'is_label_issue', 'label_score', 'given_label', 'predicted_label')
    ]
    for i in draw(st.permutations(range(5))):
        found = draw(st.integers(0, 6))
        rows.append((i, draw(st.booleans()), 0.25, CLASSES[OWN[i]], CLASSES[found]))
    return formatted(rows, draw(st.sampled_from((',', ';'))))


def read_issues(path: str) -> Any:
    """Read a table of cleanlab for a data set of five samples."""
    dataset: Any = SimpleNamespace(
        sample_ids=np.arange(5),
        given_labels=OWN,
        metainfo=dict(classes=CLASSES),
        image_names=lambda ids: [f'{i}.jpg' for i in ids],
    )
    return from_label_issues(path, dataset, 'relabel')


def issue_facts(found: Any) -> Any:
    """Yield the new label of each sample."""
    for i, label in zip(found['sample_id'].tolist(), found['suggested_label'].tolist()):
        yield str(i), (str(label), CLASSES[label])


# -- cache -----------------------------------------------------------------------
def list_cache(path: str) -> Any:
    """List a cache with this file as the header of one entry."""
    folder = Path(path).parent / 'cache'
    entry = folder / 'images' / ('0' * 64)
    partial = folder / 'images' / ('1' * 64 + '.partial')
    for place, name in ((entry, 'header.json'), (partial, 'reservation.json')):
        place.mkdir(parents=True, exist_ok=True)
        (place / 'use').touch()
        shutil.copyfile(path, place / name)
    return Cache(str(folder), 1 << 30).entries()


def check_entries(found: Any) -> None:
    """Check that sizes are numbers and names are texts."""
    for entry in found:
        assert isinstance(entry.name, str) and entry.size >= 0
        assert entry.reserved >= entry.size


def stored_pixels(path: str) -> np.ndarray:
    """Return the pixels of an image file of the store."""
    number = int(Path(path).stem)
    return np.full((2, 3 + number % 2, 3), 40 * number, np.uint8)


class StoredFile:
    """A file of an image store, which is damaged between two runs.

    Args:
        folder (Path): Folder for the images and the cache.
        name (str): Name of the file, such as ``index.bin``.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder / 'store', name
        self.paths = [str(self.folder / f'{i}.png') for i in range(3)]

    @cached_property
    def content(self) -> bytes:
        """Bytes of the file as the store has written it."""
        self.folder.mkdir(exist_ok=True)
        for path in self.paths:
            Path(path).touch()
        self._open()
        return self._file().read_bytes()

    def _open(self) -> Any:
        with mock.patch.dict(os.environ, MMFER_CACHE_DIR=str(self.folder / 'cache')):
            return open_store(self.paths, stored_pixels, 'made', 'made')

    def _file(self) -> Path:
        return next(self.folder.glob(f'cache/images/*/{self.name}'))

    def read(self, path: str) -> list:
        """Return the images of the store with this file in the place of its own."""
        damaged = self._file().parent / 'damaged'
        shutil.copyfile(path, self._file())
        damaged.unlink(missing_ok=True)
        store = self._open()
        images = [store.image(row) for row in range(3)]
        assert [i.tolist() for i in images] == [
            stored_pixels(p).tolist() for p in self.paths
        ]
        return images

    def reader(self) -> Reader:
        """Return the reader of this file."""
        return Reader(
            f'image store, {self.name}',
            self.read,
            st.deferred(lambda: st.just(self.content)),
            text=False,
        )


class StageResult:
    """The stored result of a stage; a damaged one must never give other arrays."""

    def __init__(self, folder: Path) -> None:
        self.path, self.key = folder / 'result.npz', '0' * 64
        self.arrays = dict(ids=np.arange(5), scores=np.linspace(0, 1, 5))
        save_result(str(self.path), self.arrays, self.key)

    def check(self, found: Any) -> None:
        """Check that the arrays are those that were stored."""
        assert found.keys() == self.arrays.keys()
        assert all(np.array_equal(found[k], v) for k, v in self.arrays.items())

    def reader(self) -> Reader:
        """Return the reader of the file."""
        return Reader(
            'result of a stage',
            lambda path: load_result(path, self.key),
            st.just(self.path.read_bytes()),
            '.npz',
            text=False,
            check=self.check,
        )


# -- options ---------------------------------------------------------------------
def from_text(parse: Any) -> Any:
    """Return a reader of a file whose text is an option of a command."""

    def read(path: str) -> Any:
        text = Path(path).read_bytes().decode('utf-8', 'replace')
        try:
            return parse(text)
        except ValueError as error:
            raise ValueError(f'{path}: {error}') from None

    return read


def budget(text: str) -> int:
    """Return the budget of the cache that a variable states."""
    with mock.patch.dict(os.environ, MMFER_CACHE_GB=text.replace('\0', '')):
        try:
            return cache_budget()
        except ValueError as error:
            assert 'MMFER_CACHE_GB' in str(error)
            raise


def noise(text: str) -> Any:
    """Return the parsed ``--noise``."""
    try:
        return parse_noise(text)
    except ValueError as error:
        assert '--noise' in str(error)
        raise


def read_rows(path: str) -> Any:
    """Read ``ablation.yml`` of a method."""
    folder = Path(path).parent / 'ce'
    folder.mkdir(exist_ok=True)
    shutil.copyfile(path, folder / 'ablation.yml')
    try:
        return read_ablation(folder.parent, 'ce', 'open_protocol')
    except ValueError as error:
        assert 'ablation.yml' in str(error)
        raise ValueError(f'{path}: {error}') from None


def as_json(value: Any) -> Any:
    """Return a strategy of one JSON file, with and without line breaks."""
    return st.sampled_from((json.dumps(value, indent=1), json.dumps(value))).map(
        str.encode
    )


def file_readers(folder: Path) -> List[Reader]:
    """Return the readers of files other than tables and lists."""
    flags = ('symmetric:0.3', 'pair:0.1:seed1', 'classdep:0.1,0.5,0.3')
    return [
        *(
            Reader(name, decode, st.sampled_from(files), text=False, check=check_image)
            for name, files in made_images().items()
        ),
        Reader(
            'npy of AffectNet',
            read_npy,
            st.sampled_from([npy(x) for x in (3, 3.0, '3', b'3', [3])]),
            '.npy',
            text=False,
        ),
        Reader(
            'table of cleanlab', read_issues, cleanlab_tables(), '.csv', issue_facts
        ),
        *(
            StoredFile(folder, f'{n}.bin').reader()
            for n in ('pixels', 'index', 'paths')
        ),
        StoredFile(folder, 'header.json').reader(),
        StageResult(folder).reader(),
        Reader('history.json', read_history, as_json(HISTORY), '.json'),
        Reader('summary.json', read_summary, as_json(SUMMARY), '.json'),
        Reader('other JSON', lambda p: read_json(p, dict), as_json(RECORD), '.json'),
        Reader(
            'record.json', lambda p: epochs_like(p, 10, 3), as_json(RECORD), '.json'
        ),
        Reader('ablation.yml', read_rows, st.just(ABLATION), '.yml'),
        Reader(
            'header of the cache',
            list_cache,
            as_json(dict(layout=1, key='0' * 64, name='a', holds='b', bytes=9)),
            '.json',
            check=check_entries,
        ),
        Reader('--noise', from_text(noise), st.sampled_from(flags).map(str.encode)),
        Reader(
            'name of a config',
            from_text(find_variant),
            st.just(f'{CONFIGS}/gaave/gaave_ce_r18_rafdb_pair10-20seed1.py'.encode()),
        ),
        Reader('MMFER_CACHE_GB', from_text(budget), st.just(b'20.5')),
    ]
