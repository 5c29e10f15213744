"""``FERInferencer`` decodes images as the test pipeline does."""

import io
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import TINY_CLASSIFIER
from made_images import KINDS, RGB
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from mmfer import FERInferencer
from mmfer.apis import images as images_module
from mmfer.apis.images import each_source, in_chunks, list_images
from mmfer.datasets.images import UnreadableImageError, read_image
from mmfer.registry import DATASETS


@pytest.fixture
def picture():
    """Return a random image, BGR (40, 60, 3)."""
    return RGB[..., ::-1].copy()


# -- the same pixels, the same probabilities ---------------------------------
@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Write one file of every format, in class folders."""
    root = tmp_path_factory.mktemp('kinds')
    for i, (name, kind) in enumerate(KINDS.items()):
        path = root / 'ab'[i % 2] / (name.replace(' ', '_') + kind.ending)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(kind.data)
    return root


@pytest.mark.parametrize('color_type', ['color', 'grayscale'])
def test_every_file_has_the_probability_of_the_test_pipeline(folder, color_type):
    channels = 3 if color_type == 'color' else 1
    cfg = Config(
        dict(
            default_scope='mmfer',
            model=dict(
                TINY_CLASSIFIER,
                _scope_='mmfer',
                backbone=dict(TINY_CLASSIFIER['backbone'], in_channels=channels),
            ),
            data_preprocessor=dict(
                type='FERDataPreprocessor',
                num_classes=2,
                input_shape=(channels, 32, 32),
                mean=[127.0] * channels,
                std=[60.0] * channels,
            ),
            test_dataloader=dict(
                dataset=dict(
                    type='ImageFolders',
                    data_root=str(folder),
                    test_mode=True,
                    pipeline=[
                        dict(type='LoadFERImage', color_type=color_type),
                        dict(type='Resize', scale=(36, 36)),
                        dict(type='CenterCrop', crop_size=32),
                        dict(type='PackFERInputs'),
                    ],
                )
            ),
        )
    )
    torch.manual_seed(0)
    fer = FERInferencer(cfg, pretrained=False, device='cpu')
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    assert len(dataset) == len(KINDS)  # No ending was ignored.
    with torch.no_grad():
        expected = fer.model.val_step(
            pseudo_collate([dataset[i] for i in range(len(dataset))])
        )
    paths = [sample.img_path for sample in expected]
    sources = {
        'paths': paths,
        'a folder': folder,
        'contents': [Path(path).read_bytes() for path in paths],
        'open files': [io.BytesIO(Path(path).read_bytes()) for path in paths],
    }
    for name, source in sources.items():
        for path, result, sample in zip(paths, fer(source), expected, strict=True):
            np.testing.assert_array_equal(
                np.array(list(result['pred_scores'].values()), np.float32),
                sample.pred_score.numpy(),
                err_msg=f'{path} of {name}',
            )
    # The predictions differ between images.
    assert np.ptp([float(s.pred_score[0]) for s in expected]) > 1e-3


# -- inputs ------------------------------------------------------------------
def test_sources_of_a_folder(picture, tmp_path):
    for name in ('b.png', 'a.JPG', 'below/c.bmp', 'notes.txt'):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b'')
    expected = [str(tmp_path / n) for n in ('a.JPG', 'b.png', 'below/c.bmp')]
    assert list(each_source(tmp_path)) == expected == list_images(tmp_path)
    (tmp_path / 'empty').mkdir()
    with pytest.raises(FileNotFoundError, match='no image in this folder'):
        each_source(str(tmp_path / 'empty'))
    with pytest.raises(UnreadableImageError, match='is not a file'):
        read_image(tmp_path)


def test_files_left_out_of_a_folder_are_counted(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(
        images_module, 'print_log', lambda text, *_, level: said.append((text, level))
    )
    for name in ('a.png', 'b.heic', 'c.txt', '.hidden', 'Thumbs.db'):
        (tmp_path / name).write_bytes(b'')
    assert each_source(tmp_path) == [str(tmp_path / 'a.png')]
    ((text, level),) = said
    assert '2 file(s) ignored' in text and 'b.heic' in text
    assert level == logging.WARNING


def test_arrays_of_several_images(picture):
    assert len(each_source(picture)) == 1
    assert len(each_source(picture[..., 0])) == 1
    assert len(each_source(np.stack([picture] * 5))) == 5
    assert len(each_source(np.zeros((7, 48, 48), np.uint8))) == 7
    frames = iter([picture])
    assert each_source(frames) is frames


@pytest.mark.parametrize('kind', ['object', 'str'])
def test_an_array_of_paths_is_a_list_of_paths(kind):
    paths = ['a.png', 'b/c.jpg']
    assert list(each_source(np.array(paths, dtype=kind))) == paths
    mixed = np.empty(2, dtype=object)
    mixed[:] = [Path('a.png'), RGB]
    assert [type(s) for s in each_source(mixed)] == [type(Path()), np.ndarray]


def test_an_open_file_is_one_image(picture):
    """Iterating over an open file would yield its lines."""
    file = io.BytesIO(KINDS['PNG RGB'].data)
    (source,) = each_source(file)
    np.testing.assert_array_equal(read_image(source), picture)


@pytest.mark.parametrize('shape', [(3, 40, 60), (5, 3, 40, 60)])
def test_channels_first_is_refused(shape):
    """Without the check, one face with channels first gave three results."""
    with pytest.raises(ValueError, match=r'channels first.*transpose\(1, 2'):
        for source in each_source(np.zeros(shape, np.uint8)):
            read_image(source)


def test_chunks_wait_for_no_more_than_they_need():
    taken = []

    def frames():
        for i in range(7):
            taken.append(i)
            yield i

    chunks = in_chunks(frames(), 3)
    assert next(chunks) == [0, 1, 2] and taken == [0, 1, 2]
    assert list(chunks) == [[3, 4, 5], [6]]


@pytest.mark.parametrize('inputs', [7, None, 2.5])
def test_no_source_of_images(inputs):
    with pytest.raises(TypeError, match='generator of them, got'):
        each_source(inputs)
