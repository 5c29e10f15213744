"""Stored stages of GAAVE are those of the same images, labels and weights."""

import json
import os
import shutil
import zipfile

import cv2
import numpy as np
import pytest
import torch
from helpers import STEPS, call_tool, patch_training
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

from mmfer.engine import stages, training
from mmfer.engine.stages import DamagedResultError, Stages, fingerprint, load_result
from mmfer.engine.training import train_classifier
from mmfer.methods.gaave import GAAVE
from mmfer.methods.gaave import subset_training as module
from mmfer.registry import DATASETS, MODELS

COUNT = 30
OPTIONS = {
    **STEPS,
    'split': False,
    'tau': 0,
    'attack': dict(epsilon=0.02),
    'held_out': 0.2,
    'annotate': False,
}


def write_images(root, seed=0):
    """BMP files of one size, so that only contents and times can differ."""
    rng = np.random.default_rng(seed)
    (root / 'images').mkdir(parents=True, exist_ok=True)
    for i in range(COUNT):
        image = rng.integers(0, 128, (32, 32), dtype=np.uint8) + 60 * (i % 3)
        cv2.imwrite(str(root / f'images/{i:02d}.bmp'), image.astype(np.uint8))
        os.utime(root / f'images/{i:02d}.bmp', (0, 0))


def write_labels(root, shift=0):
    rng = np.random.default_rng(shift)
    labels = np.where(rng.random(COUNT) < 0.2, rng.integers(0, 3, COUNT), range(COUNT))
    (root / 'list.txt').write_text(
        ''.join(f'{i:02d}.bmp {label % 3}\n' for i, label in enumerate(labels))
    )


def made_config(root, weights=None):
    pipeline = [
        dict(type='LoadFERImage', color_type='grayscale'),
        dict(type='PackFERInputs'),
    ]
    loader = dict(
        batch_size=8,
        num_workers=0,
        dataset=dict(
            type='ImageList',
            data_root=str(root),
            ann_file='list.txt',
            data_prefix='images',
            num_classes=3,
            label_base=0,
            pipeline=pipeline,
        ),
        sampler=dict(type='DefaultSampler', shuffle=True),
        collate_fn=dict(type='fer_collate'),
    )
    backbone = dict(type='ResNetSmallStem', depth=18, stem_channels=4, base_channels=4)
    if weights is not None:
        backbone['init_cfg'] = dict(
            type='Pretrained', checkpoint=str(weights), prefix='backbone'
        )
    return Config(
        dict(
            default_scope='mmfer',
            model=dict(
                type='FERClassifier',
                backbone=backbone,
                neck=dict(type='FeaturePooling'),
                head=dict(type='CEHead'),
            ),
            data_preprocessor=dict(
                type='FERDataPreprocessor',
                input_shape=(1, 32, 32),
                num_classes=3,
                mean=[127.5],
                std=[63.75],
            ),
            train_dataloader=loader,
            val_dataloader=loader,
            val_cfg=dict(),
            val_evaluator=dict(
                type='BatchEvaluator', metrics=[dict(type='Accuracy', topk=(1,))]
            ),
            train_cfg=dict(by_epoch=True, max_epochs=3),
            optim_wrapper=dict(optimizer=dict(type='Adam', lr=5e-3)),
            param_scheduler=None,
            randomness=dict(seed=0),
            custom_hooks=[],
        )
    )


class Cleaning:
    """Cleanings of one folder, and the models that each of them trained."""

    def __init__(self, root, monkeypatch):
        self.root = root
        self.folders = []

        def counted(*args, **kwargs):
            self.folders.append(args[3])
            return train_classifier(*args, **kwargs)

        patch_training(monkeypatch, counted)

    def __call__(self, root=None, weights=None, **options):
        """Clean; return the decisions and the number of models trained for them."""
        init_default_scope('mmfer')
        cfg = made_config(root or self.root, weights)
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
        method = GAAVE(**{**OPTIONS, **options})
        before = len(self.folders)
        found, _ = method(
            cfg,
            dataset,
            dataset.pipeline,
            str(self.root / 'stages'),
            MMLogger.get_instance('test_gaave_images'),
        )
        return found, len(self.folders) - before


@pytest.fixture
def clean(tmp_path, monkeypatch):
    write_images(tmp_path)
    write_labels(tmp_path)
    return Cleaning(tmp_path, monkeypatch)


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """A finished cleaning, to be copied."""
    root = tmp_path_factory.mktemp('finished')
    write_images(root)
    write_labels(root)
    with pytest.MonkeyPatch.context() as patch:
        found, trained = Cleaning(root, patch)(annotate=True)
    assert trained == 2
    return root, found


@pytest.fixture
def again(finished, tmp_path, monkeypatch):
    """A copy of the finished cleaning, its decisions, and a list of warnings."""
    root, found = finished
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    said = []
    logger = MMLogger.get_instance('test_gaave_images')
    monkeypatch.setattr(logger, 'warning', said.append)
    monkeypatch.setattr(
        stages, 'print_log', lambda text, logger, level=0: level and said.append(text)
    )
    return Cleaning(tmp_path, monkeypatch), found, said


def assert_same(first, second):
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def other_pictures(root):
    """Of the same names, sizes and times."""
    write_images(root, seed=1)


def one_bit(root):
    path = root / 'images/17.bmp'
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, (0, 0))


def swapped_pictures(root):
    first, second, third = (root / f'images/{name}.bmp' for name in ('00', '01', 'x'))
    for source, target in ((first, third), (second, first), (third, second)):
        os.rename(source, target)


CHANGES = dict(
    pictures=(other_pictures, {}),
    bit=(one_bit, {}),
    swapped=(swapped_pictures, {}),
    labels=(lambda root: write_labels(root, 1), {}),
    held_out=(None, dict(held_out=0.3)),
    seed=(None, dict(seed=1)),
    attack=(None, dict(attack=dict(epsilon=0.03))),
    version=(lambda root: setattr(module, 'VERSION', 2), {}),
)


@pytest.mark.parametrize('change', CHANGES)
def test_what_gives_another_result(again, change, monkeypatch):
    clean, found, _ = again
    monkeypatch.setattr(module, 'VERSION', 1)
    act, options = CHANGES[change]
    if act is not None:
        act(clean.root)
    other, trained = clean(annotate=True, **options)
    assert trained >= 1
    if change not in ('bit', 'version', 'attack'):
        assert not np.array_equal(other.given_probability, found.given_probability)
    # Back again: nothing was overwritten.
    write_images(clean.root)
    write_labels(clean.root)
    monkeypatch.setattr(module, 'VERSION', 1)
    first, trained = clean(annotate=True)
    assert trained == 0
    assert_same(found, first)


def test_copied_and_touched_images_cost_nothing(again):
    clean, found, _ = again
    for i in range(COUNT):
        os.utime(clean.root / f'images/{i:02d}.bmp')
    first, trained = clean(annotate=True)
    assert trained == 0
    assert_same(found, first)
    shutil.copytree(clean.root / 'images', clean.root / 'copy/images')
    shutil.copy(clean.root / 'list.txt', clean.root / 'copy')
    first, trained = clean(clean.root / 'copy', annotate=True)
    assert trained == 0
    assert_same(found, first)


def test_other_weights_under_the_same_path(clean):
    cfg = made_config(clean.root)
    weights = clean.root / 'weights.pth'

    def write(seed):
        torch.manual_seed(seed)
        model = MODELS.build(dict(cfg.model, data_preprocessor=cfg.data_preprocessor))
        torch.save(dict(state_dict=model.state_dict()), weights)
        os.utime(weights, (0, 0))

    write(0)
    first, trained = clean(weights=weights)
    size = weights.stat().st_size
    assert trained == 1
    write(1)
    assert weights.stat().st_size == size
    other, trained = clean(weights=weights)
    assert trained == 1
    assert not np.array_equal(other.given_probability, first.given_probability)
    write(0)
    os.utime(weights)
    again, trained = clean(weights=weights)
    assert trained == 0
    assert_same(first, again)


# -- damaged files of stages ---------------------------------------------------
def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path):
    path.write_bytes(b'')


def flip(path):
    """Flip a bit in the middle, for an archive in that of its largest entry."""
    data = bytearray(path.read_bytes())
    place = len(data) // 2
    if zipfile.is_zipfile(path):
        # Other bytes of an archive may have no meaning.
        with zipfile.ZipFile(path) as archive:
            entry = max(archive.infolist(), key=lambda entry: entry.compress_size)
        lengths = data[entry.header_offset + 26 : entry.header_offset + 30]
        name, extra = (int.from_bytes(lengths[i : i + 2], 'little') for i in (0, 2))
        place = entry.header_offset + 30 + name + extra + entry.compress_size // 2
    data[place] ^= 0x10
    path.write_bytes(data)


DAMAGES = dict(truncate=truncate, empty=empty, flip=flip)


@pytest.mark.parametrize('damage', DAMAGES)
def test_damaged_result(again, damage):
    clean, found, said = again
    for path in sorted(clean.root.glob('stages/*/result.npz')):
        DAMAGES[damage](path)
        said.clear()
        result, trained = clean(annotate=True)
        assert trained == 1
        assert_same(found, result)
        assert sum(str(path) in text for text in said) == 1
        assert clean(annotate=True)[1] == 0


# Files inside a stage, and what happens if they are damaged or deleted.
INNER = {
    'model/last_checkpoint': '',
    'model/epoch_3.pth': 'The run goes on from',
    'model/peak.pth': 'trained again',
    'model/history.json': 'trained again',
}
# A history with one other bit may still be JSON; see below.
ALL = [
    (name, damage)
    for name in INNER
    for damage in (*DAMAGES, None)
    if (name, damage) != ('model/history.json', 'flip')
]


@pytest.mark.parametrize(
    'damages',
    [
        [('model/epoch_3.pth', 'flip')],
        [('model/peak.pth', 'truncate')],
        pytest.param(ALL, marks=pytest.mark.slow, id='all'),
    ],
)
def test_damaged_files_inside_a_stage(again, damages):
    """The stage was killed before its result; then one of its files was damaged."""
    clean, found, said = again
    folder = next(clean.root.glob('stages/vulnerability*'))
    whole = clean.root / 'whole'
    (folder / 'result.npz').unlink()
    shutil.copytree(folder, whole)
    for name, damage in damages:
        shutil.rmtree(folder)
        shutil.copytree(whole, folder)
        if damage is not None:
            DAMAGES[damage](folder / name)
        else:
            (folder / name).unlink()
        said.clear()
        result, trained = clean(annotate=True)
        assert trained == 1
        assert_same(found, result)
        found_texts = [text for text in said if os.path.basename(name) in text]
        if INNER[name]:
            assert len(found_texts) == 1, (name, damage)
            assert INNER[name] in found_texts[0]
        else:
            assert not found_texts


def test_no_checkpoint_is_whole(again):
    clean, found, said = again
    folder = next(clean.root.glob('stages/vulnerability*'))
    (folder / 'result.npz').unlink()
    for path in folder.glob('model/epoch_*.pth'):
        truncate(path)
    result, trained = clean(annotate=True)
    assert trained == 1
    assert_same(found, result)
    texts = [text for text in said if 'trained again' in text]
    assert len(texts) == 1
    assert 'epoch_2.pth' in texts[0] and 'epoch_3.pth' in texts[0]


def test_history_that_contradicts_the_weights(again):
    """A digit of the history changed: another epoch would be the best one."""
    clean, found, _ = again
    folder = next(clean.root.glob('stages/vulnerability*'))
    (folder / 'result.npz').unlink()
    path = folder / 'model/history.json'
    history = json.loads(path.read_text())
    best = torch.load(folder / 'model/peak.pth', weights_only=True)['meta']['epoch']
    for entry in history:
        entry['metrics']['accuracy/top1'] = float(entry['epoch'] != best) * (
            4 - entry['epoch']
        )
    path.write_text(json.dumps(history))
    result, _ = clean(annotate=True)
    assert_same(found, result)


def test_a_copied_stage_reads_nothing_from_the_original(finished, again, monkeypatch):
    clean, found, _ = again
    root, _ = finished
    folder = next(clean.root.glob('stages/vulnerability*'))
    (folder / 'result.npz').unlink()
    original = torch.load
    opened = []

    def load(path, *args, **kwargs):
        opened.append(str(path))
        return original(path, *args, **kwargs)

    monkeypatch.setattr(torch, 'load', load)
    result, _ = clean(annotate=True)
    assert_same(found, result)
    assert opened and not any(path.startswith(str(root)) for path in opened)
    assert training.BEST_WEIGHTS in ''.join(opened)


@pytest.mark.parametrize(
    'every', [8, pytest.param(1, marks=pytest.mark.slow, id='all')]
)
def test_flipped_bits_and_lost_ends(tmp_path, every):
    """A stored result is read as it was written, or refused."""
    arrays = dict(
        a=np.arange(20), b=np.random.default_rng(0).random(9), c=np.float64(3)
    )
    settings = dict(rate=0.5)
    Stages(str(tmp_path)).run('one', settings, lambda folder: arrays)
    path = next(tmp_path.glob('*/result.npz'))
    data, key = path.read_bytes(), fingerprint(settings)
    outcomes = dict(same=0, refused=0)
    # With every=1: each bit of the file flipped, and each shorter length.
    changed = (
        data[: i // 8] + bytes([data[i // 8] ^ 1 << i % 8]) + data[i // 8 + 1 :]
        for i in range(0, 8 * len(data), 5 * every if every > 1 else 1)
    )
    for text in [
        *changed,
        *(data[:n] for n in range(0, len(data), every)),
        b'x',
        b'PK',
    ]:
        path.write_bytes(text)
        try:
            found = load_result(str(path), key)
        except DamagedResultError as error:
            assert str(path) in str(error)
            outcomes['refused'] += 1
        else:
            assert set(found) == set(arrays)
            assert all(np.array_equal(found[name], arrays[name]) for name in arrays)
            outcomes['same'] += 1
    assert outcomes['refused'] > outcomes['same']
    # A whole file of another stage.
    path.write_bytes(data)
    with pytest.raises(DamagedResultError, match='this stage'):
        load_result(str(path), fingerprint(dict(rate=0.6)))


# -- the tool ---------------------------------------------------------------------
def test_tool_cleans_other_pictures_again(tmp_path, monkeypatch):
    """The table of the first pictures stays, in a folder of its own."""
    write_images(tmp_path)
    write_labels(tmp_path)
    cfg = made_config(tmp_path)
    cfg.custom_hooks = [dict(type='GAAVEHook', **OPTIONS)]
    cfg.work_dir = str(tmp_path / 'unused')
    cfg.dump(tmp_path / 'config.py')
    out = tmp_path / 'out'
    arguments = ('clean_labels.py', tmp_path / 'config.py', '--out', out)
    call_tool(*arguments)
    first = (out / 'sample_scores.csv').read_bytes()
    call_tool(*arguments)
    assert (out / 'sample_scores.csv').read_bytes() == first
    assert not list(out.glob('earlier*'))
    write_images(tmp_path, seed=1)
    call_tool(*arguments)
    second = (out / 'sample_scores.csv').read_bytes()
    assert second != first
    assert (out / 'earlier-1/sample_scores.csv').read_bytes() == first
    assert {path.name for path in (out / 'earlier-1').iterdir()} == {
        'sample_scores.csv',
        'run.json',
        'report.txt',
        'record.json',
        'attack_steps.png',
        'cleaned_list.txt',
    }
    write_images(tmp_path)
    call_tool(*arguments)
    assert (out / 'sample_scores.csv').read_bytes() == first
    assert (out / 'earlier-2/sample_scores.csv').read_bytes() == second
