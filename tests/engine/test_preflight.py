"""What contradicts itself is said before the first iteration."""

import copy
import json
import os
import random

import cv2
import numpy as np
import pytest
import torch
from helpers import TINY_CLASSIFIER, tiny_config, train
from mmengine.dataset import RepeatDataset
from mmengine.hooks import Hook
from mmengine.registry import DATA_SAMPLERS
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.runner import Runner
from mmpretrain.datasets import KFoldDataset
from torch.utils.data import BatchSampler, ConcatDataset

from mmfer.cli import preflight_of, run_tool, with_preflight
from mmfer.datasets import SyntheticFaces
from mmfer.datasets.synthetic_faces import EXPRESSIONS
from mmfer.engine import PreflightHook
from mmfer.engine.pipeline_probe import PreparedImage, prepare_image, spread_positions
from mmfer.engine.preflight import (
    PreflightError,
    build_fitting_loop,
    check_batch_count,
    check_crops,
    check_image_size,
    check_narrow_views,
    check_one_class,
    check_shapes,
    check_single_samples,
    class_sets,
    classes_of_config,
    compare_classes,
    compare_labels,
    compare_one_hot,
    compare_outputs,
    image_datasets,
    model_facts,
    prepared_images,
    smallest_batch,
    stated_classes,
)
from mmfer.methods.gaave import LabelDecisions
from mmfer.registry import MODELS, TRANSFORMS
from mmfer.utils.random import random_state_kept

ABC = ('a', 'b', 'c')


# -- comparisons -------------------------------------------------------------
@pytest.mark.parametrize(
    'classes, other',
    [
        (ABC, ['a', 'b', 'c']),
        (ABC, ('A', ' b', 'C')),
        (('0', '1', '2'), ABC),
        (ABC, ('0', '1', '2')),
        (None, ABC),
        (ABC, None),
    ],
)
def test_same_classes(classes, other):
    assert compare_classes('train', classes, 'val', other) is None


@pytest.mark.parametrize(
    'classes, other, said',
    [
        (('a', 'c'), ABC, 'val has 2 classes and train has 3: val lacks b.'),
        (ABC, ('a', 'c'), 'val has 3 classes and train has 2: train lacks b.'),
        (('a', 'x'), ABC, 'val lacks b, c, train lacks x.'),
        (('0', '1'), ABC, 'val has 2 classes and train has 3. '),
        (
            ('a', 'c', 'b'),
            ABC,
            "the same classes in another order: label 1 is 'c' in val and 'b'",
        ),
        (('a', 'b', 'x'), ABC, "other classes: label 2 is 'x' in val and 'c'"),
    ],
)
def test_other_classes(classes, other, said):
    message = compare_classes('val', classes, 'train', other)
    assert said in message and message.endswith(
        'give both the same classes in the same order (classes=[...] of the data set).'
    )


def test_many_names_are_shortened():
    names = [f'class {i}' for i in range(100)]
    assert (
        'lacks class 1, class 2, class 3, class 4, class 5 and 94 more.'
        in compare_classes('val', names[:1], 'train', names)
    )


def test_outputs():
    assert compare_outputs('train', 7, 7) is None
    assert compare_outputs('train', None, 7) is None
    assert compare_outputs('train', 7, None) is None
    assert compare_outputs('train', 7, 5, ['data_preprocessor.num_classes']) == (
        'train has 7 classes, and the model has 5 outputs: labels from 5 '
        'on have no output. Set data_preprocessor.num_classes=7, or '
        'correct the classes of the data set.'
    )
    assert '10 outputs: outputs from 7 on belong to no class' in compare_outputs(
        'train', 7, 10
    )
    assert compare_labels('train', 4, 5) is None
    assert 'a label 5, and the model has 5' in compare_labels('train', 5, 5)


def test_width_of_mixed_labels():
    mixing = MODELS.build(
        dict(
            type='FERDataPreprocessor',
            num_classes=10,
            batch_augments=dict(augments=dict(type='Mixup', alpha=0.2)),
        )
    )
    assert 'num_classes=7' in compare_one_hot('train', 7, mixing)
    assert compare_one_hot('train', 10, mixing) is None
    plain = MODELS.build(dict(type='FERDataPreprocessor', num_classes=10))
    assert compare_one_hot('train', 7, plain) is None


def test_no_batch():
    assert check_batch_count('train_dataloader', 1, 32, 32) is None
    message = check_batch_count('train_dataloader', 0, 20, 32)
    for part in (
        '20 < 32',
        'train_dataloader.batch_size=20',
        'train_dataloader.drop_last=False',
    ):
        assert part in message
    assert '10 samples in each of 2 processes' in check_batch_count(
        'train_dataloader', 0, 10, 32, 2
    )
    assert 'batch_sampler' in check_batch_count('train_dataloader', 0, 3, None)


@pytest.mark.parametrize('drop_last', [True, False])
def test_last_batches_are_those_of_torch(drop_last):
    """And the batch size that is proposed leaves none of one."""
    for samples in range(1, 40):
        for size in range(1, samples + 1):
            sizes = [len(b) for b in BatchSampler(range(samples), size, drop_last)]
            assert smallest_batch(samples, size, drop_last) == min(sizes)
            message = check_single_samples(
                'train', samples, size, drop_last, ['neck.1 (BatchNorm1d)']
            )
            assert (message is not None) == (min(sizes) == 1)
            if message and 'such as' in message:
                other = int(message.rstrip('.').rsplit('=', 1)[1])
                assert (
                    min(len(b) for b in BatchSampler(range(samples), other, False)) > 1
                )
            assert check_single_samples('t', samples, size, drop_last, []) is None


def test_one_class():
    assert check_one_class('train', [3, 0, 2], ABC) is None
    assert check_one_class('train', [3], ('a',)) is None
    assert 'samples of b only' in check_one_class('train', [0, 3, 0], ABC)


def test_shapes_and_sizes():
    right = PreparedImage('x.png', (48, 48), (1, 44, 44), 0.84, 1.0)
    assert check_shapes('val', [right], (1, 44, 44)) is None
    assert check_shapes('val', [right], None) is None
    message = check_shapes('val', [right], (1, 40, 40))
    assert '(1, 44, 44)' in message and '(1, 40, 40)' in message
    assert 'color_type' in check_shapes('val', [right], (3, 44, 44))
    small = PreparedImage('y.png', (40, 40), (1, 40, 40), 1.0, 1.0)
    assert '44 x 44 pixels of x.png and 40 x 40 of y.png' in check_shapes(
        'val', [right, small], None
    )
    assert check_image_size('val', [right], (48, 48)) is None
    assert '1 of 2 images' in check_image_size('val', [right, small], (48, 48))


# -- what a pipeline leaves of an image --------------------------------------
def look(size, *steps, channels=()):
    image = np.random.default_rng(0).integers(0, 256, (*size, *channels), np.uint8)
    transforms = [TRANSFORMS.build(dict(step)) for step in steps]
    before = image.copy()
    found = prepare_image(transforms, dict(img=image, gt_label=0), 'x.png')
    assert np.array_equal(image, before)
    return found


CROP = dict(type='CenterCrop', crop_size=44)
RESIZE = dict(type='Resize', scale=(48, 48), interpolation='area')
PACK = dict(type='PackFERInputs', meta_keys=())


@pytest.mark.parametrize(
    'steps',
    [
        [CROP],
        [dict(type='RandomCrop', crop_size=44)],
        [dict(type='RandomFlip', prob=1.0), CROP],
        [
            dict(type='NumpyToPIL'),
            dict(type='torchvision/CenterCrop', size=44),
            dict(type='PILToNumpy'),
        ],
        [CROP, dict(type='Resize', scale=(224, 224))],
        [dict(type='RandomApply', prob=1.0, transforms=[CROP])],
    ],
)
def test_crops_of_large_images_are_found(steps):
    found = look((200, 224), *steps, PACK, channels=(3,))
    assert found.visible_before_resize == pytest.approx(44 * 44 / (200 * 224), rel=0.1)
    assert found.size == (200, 224) and found.shape[0] == 3
    message = check_crops('train_dataloader', [found], (48, 40))
    assert 'x.png (200 x 224 pixels) 4% is left' in message
    assert "dict(type='Resize', scale=(40, 48)" in message


@pytest.mark.parametrize(
    'size, steps',
    [
        ((48, 48), [CROP]),
        ((48, 48), [RESIZE, CROP]),
        ((224, 200), [RESIZE, CROP]),
        ((20, 20), [RESIZE, CROP]),
        ((224, 224), [dict(type='RandomResizedCrop', scale=44)]),
        (
            (100, 80),
            [
                dict(type='ResizeEdge', scale=64, edge='short'),
                dict(type='CenterCrop', crop_size=56),
            ],
        ),
        ((32, 32), [dict(type='RandomCrop', crop_size=32, padding=4)]),
        ((40, 40), [dict(type='Pad', size=(48, 48)), CROP]),
        (
            (60, 60),
            [
                dict(type='Rotate', angle=12.0, prob=1.0),
                dict(type='RandomErasing', erase_prob=1.0),
            ],
        ),
        (
            (60, 60),
            [
                dict(type='NumpyToPIL'),
                dict(type='torchvision/Resize', size=(48, 48)),
                dict(type='torchvision/ColorJitter', brightness=0.8),
                dict(type='PILToNumpy'),
            ],
        ),
        ((48, 48), []),
    ],
)
def test_whole_faces_are_let_through(size, steps):
    found = look(size, *steps, PACK, channels=(3,))
    assert found.visible_before_resize > 0.8 and found.visible > 0.5
    assert check_crops('train', [found]) is None
    assert check_narrow_views('train', [found]) is None


def test_small_random_crops_in_a_row_are_no_narrow_view():
    """mmpretrain's default sees 8 % to all; an epoch of it sees the face."""
    with random_state_kept():
        np.random.seed(0)
        found = [
            look((48, 48), dict(type='RandomResizedCrop', scale=44), PACK)
            for _ in range(200)
        ]
    assert min(image.visible for image in found) > 0.5
    narrow = look(
        (48, 48),
        dict(type='RandomResizedCrop', scale=44, crop_ratio_range=(0.05, 0.2)),
        PACK,
    )
    assert narrow.visible < 0.5


def test_panoramas_are_warned_of_only():
    """What a resize to the shorter edge leaves is meant for photos."""
    found = look((50, 300), dict(type='ResizeEdge', scale=48, edge='short'), CROP, PACK)
    assert check_crops('train', [found]) is None
    assert 'of x.png (50 x 300 pixels)' in check_narrow_views('t', [found])


def test_pipelines_that_cannot_be_followed():
    assert prepare_image([], dict(gt_label=0), 'x') is None
    lists = look(
        (48, 48),
        dict(
            type='TestTimeAug',
            transforms=[[dict(type='RandomFlip', prob=p) for p in (1.0, 0.0)], [PACK]],
        ),
    )
    assert lists.shape is None and lists.visible == 1


def test_positions_are_spread():
    assert spread_positions(3, 32) == [0, 1, 2]
    places = spread_positions(1000, 32)
    assert len(places) == 32 and places[0] == 0 and places[-1] == 999
    assert max(np.diff(places)) <= 33


# -- facts -------------------------------------------------------------------
def faces(**options):
    return SyntheticFaces(
        **dict(dict(num_samples=14, size=36, pipeline=[PACK]), **options)
    )


def test_classes_in_wrappers():
    turned = faces(metainfo=dict(classes=EXPRESSIONS[::-1]))
    assert stated_classes(RepeatDataset(faces(), 2)) == EXPRESSIONS
    assert (
        stated_classes(
            KFoldDataset(dict(type='SyntheticFaces', num_samples=14, pipeline=[]))
        )
        == EXPRESSIONS
    )
    joined = ConcatDataset([faces(), turned])
    assert list(class_sets('train', joined)) == [
        ('train', None),
        ('train (part 0)', EXPRESSIONS),
        ('train (part 1)', EXPRESSIONS[::-1]),
    ]
    assert list(image_datasets(joined)) == joined.datasets
    assert len(prepared_images(joined)) == 28
    # Of other libraries, or of none.
    plain = [(torch.zeros(3, 8, 8), 1)]
    assert list(class_sets('train', plain)) == [('train', None)]
    assert prepared_images(plain) == []


def test_classes_are_known_without_loading(tmp_path):
    for name in ('b', 'a'):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / 'x.png'), np.zeros((8, 8), np.uint8))
    assert classes_of_config(
        dict(type='ImageFolders', data_root=str(tmp_path), pipeline=[])
    ) == ('a', 'b')
    assert classes_of_config(dict(type='RAFDB', data_root='/none')) is not None
    assert classes_of_config(dict(type='ImageFolders', data_root='/none')) is None


ALUM = dict(
    TINY_CLASSIFIER,
    neck=dict(type='UncertaintyNeck'),
    head=dict(type='ALUMHead'),
    latent_compensation=dict(),
)


@pytest.mark.parametrize(
    'model, outputs, norms',
    [
        (TINY_CLASSIFIER, 7, []),
        (ALUM, 7, ['neck.mean.4 (BatchNorm1d)', 'neck.log_var.4 (BatchNorm1d)']),
        (dict(type='DualNetwork', network1=TINY_CLASSIFIER), 7, []),
        (
            dict(
                TINY_CLASSIFIER,
                neck=None,
                head=dict(type='MultiTaskHead', label_sets=[7, 'va']),
            ),
            7,
            [],
        ),
        (
            dict(
                TINY_CLASSIFIER,
                neck=None,
                head=dict(type='MultiTaskHead', label_sets=['va']),
            ),
            None,
            [],
        ),
        (
            dict(
                type='JointGAN',
                encoder=dict(
                    TINY_CLASSIFIER, neck=None, head=dict(type='MultiTaskHead')
                ),
                decoder=dict(base_channels=4),
                discriminator=dict(base_channels=4),
            ),
            7,
            [],
        ),
    ],
    ids=['ce', 'alum', 'dual', 'multitask', 'va', 'gan'],
)
def test_facts_of_models(model, outputs, norms):
    model = MODELS.build(
        dict(
            model,
            data_preprocessor=dict(
                type='FERDataPreprocessor',
                input_shape=(1, 32, 32),
                num_classes=7,
                mean=[127.5],
                std=[127.5],
            ),
        )
    )
    model.train()
    next(m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)).eval()
    state = {k: v.clone() for k, v in model.state_dict().items()}
    modes = [m.training for m in model.modules()]
    assert model_facts(model, None) == (outputs, norms)
    assert modes == [m.training for m in model.modules()]
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name]), name


def test_facts_of_a_model_of_mmpretrain():
    """Its data preprocessor knows no shape: that of an image is taken."""
    model = ROOT_MODELS.build(
        dict(
            type='mmpretrain.ImageClassifier',
            backbone=dict(type='ResNet', depth=18, stem_channels=8, base_channels=8),
            neck=dict(type='GlobalAveragePooling'),
            head=dict(type='LinearClsHead', num_classes=5, in_channels=64),
        )
    )
    assert model_facts(model, torch.zeros(3, 32, 32, dtype=torch.uint8)) == (
        5,
        [
            'backbone.layer4.0.bn1 (BatchNorm2d)',
            'backbone.layer4.0.bn2 (BatchNorm2d)',
            'backbone.layer4.0.downsample.1 (BatchNorm2d)',
            'backbone.layer4.1.bn1 (BatchNorm2d)',
            'backbone.layer4.1.bn2 (BatchNorm2d)',
        ],
    )
    # Maps of 2 x 2 pixels have statistics.
    assert model_facts(model, torch.zeros(3, 64, 64, dtype=torch.uint8)) == (5, [])
    # What cannot be run is asked.
    assert model_facts(model, torch.zeros(1, 64, 64)) == (5, [])
    assert model_facts(model, None) == (5, [])


def test_named_layers_are_those_that_fail():
    model = MODELS.build(
        dict(
            ALUM,
            data_preprocessor=dict(
                type='FERDataPreprocessor', input_shape=(1, 32, 32), num_classes=7
            ),
        )
    )
    model.train()
    with pytest.raises(ValueError, match='more than 1 value per channel'):
        model(torch.zeros(1, 1, 32, 32), mode='tensor')


# -- runners -----------------------------------------------------------------
def small(tmp_path, **options):
    return tiny_config(
        tmp_path,
        'ce/ce_r18_synthfaces',
        **{
            'train_dataloader__dataset__num_samples': 64,
            'val_dataloader__dataset__num_samples': 14,
            'train_cfg__max_epochs': 1,
            **options,
        },
    )


TURNED = dict(classes=EXPRESSIONS[::-1])


@pytest.mark.parametrize(
    'options, said',
    [
        (dict(train_dataloader__dataset__num_samples=20), '20 < 32'),
        (
            dict(val_dataloader__drop_last=True, val_dataloader__batch_size=64),
            'val_dataloader has 14 samples, fewer than one batch of 64',
        ),
        (dict(data_preprocessor__num_classes=3), 'data_preprocessor.num_classes=7'),
        (dict(data_preprocessor__num_classes=10), '7 classes, .* has 10 outputs'),
        (dict(model__head__num_classes=5), 'Set model.head.num_classes=7'),
        (
            dict(val_dataloader__dataset__metainfo=TURNED),
            f"label 0 is '{EXPRESSIONS[-1]}' in val_dataloader",
        ),
        (
            dict(data_preprocessor__input_shape=(1, 36, 36)),
            r'\(1, 32, 32\).*input_shape is \(1, 36, 36\)',
        ),
        (
            dict(
                train_cfg=dict(
                    _delete_=True,
                    type='IterBasedTrainLoop',
                    max_iters=7,
                    val_interval=3,
                ),
                param_scheduler=None,
            ),
            'max_epochs=4, val_interval=1.* which is 8 iterations instead of 7',
        ),
    ],
)
def test_refused(options, said, tmp_path):
    """Before anything is trained, also with hooks of one's own."""
    cfg = small(tmp_path, custom_hooks=[dict(type='EMAHook')], **options)
    with pytest.raises(PreflightError, match=said):
        Runner.from_cfg(cfg).train()
    assert not os.path.exists(tmp_path / 'history.json')


def test_test_data_of_other_classes_are_refused_in_training(tmp_path):
    cfg = small(tmp_path)
    cfg.test_dataloader = copy.deepcopy(cfg.val_dataloader)
    cfg.test_dataloader.dataset.metainfo = TURNED
    with pytest.raises(PreflightError, match='test_dataloader and train'):
        Runner.from_cfg(cfg).train()


@pytest.mark.parametrize('collate', ['default_collate', 'pseudo_collate'])
def test_images_of_different_sizes(collate, tmp_path):
    """mmpretrain pads lists of images, and cannot stack them."""
    runner = Runner.from_cfg(
        small(
            tmp_path,
            **{
                f'{name}_dataloader__collate_fn__type': collate
                for name in ('train', 'val')
            },
        )
    )
    runner.cfg.data_preprocessor.pop('input_shape')
    steps = runner.train_dataloader.dataset.pipeline.transforms
    steps[-2] = RandomSize()
    if collate == 'pseudo_collate':
        preflight_of(runner).check_training(runner)
        return
    with pytest.raises(PreflightError, match='images of different sizes'):
        preflight_of(runner).check_training(runner)


class RandomSize:
    calls = 0

    def __call__(self, results):
        self.calls += 1
        results['img'] = results['img'][self.calls % 5 :]
        return results


def test_crops_without_a_resize(tmp_path):
    """All that is wrong is said at once; images are not loaded in vain."""
    cfg = small(
        tmp_path,
        train_dataloader__dataset__size=80,
        val_dataloader__dataset__size=80,
        data_preprocessor__num_classes=3,
    )
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.dataset.pipeline = [
            s for s in loader.dataset.pipeline if s.type != 'Resize'
        ]
    with pytest.raises(PreflightError) as caught:
        Runner.from_cfg(cfg).train()
    lines = str(caught.value).splitlines()
    assert [line.split(' ')[0] for line in lines] == [
        'train_dataloader:',
        'val_dataloader:',
        'train_dataloader',
    ]
    assert 'crops 32 of 32 images' in lines[0]
    assert 'crops 14 of 14 images' in lines[1]
    assert '16% is left' in lines[0] and 'scale=(36, 36)' in lines[0]


def test_parts_of_other_classes(tmp_path):
    """mmengine refuses them, but does not say what differs."""
    cfg = small(tmp_path)
    part = dict(cfg.train_dataloader.dataset)
    joined = dict(type='ConcatDataset', datasets=[part, dict(part, metainfo=TURNED)])
    for options in (dict(), dict(ignore_keys=['classes'])):
        cfg.train_dataloader.dataset = dict(joined, **options)
        runner = Runner.from_cfg(cfg)
        with pytest.raises(PreflightError, match=r'\(part 1\).*label 0 is'):
            preflight_of(runner).check_training(runner)


def test_tools_add_the_hook_and_say_one_sentence(tmp_path):
    cfg = small(tmp_path, train_dataloader__dataset__num_samples=20)
    # A schedule that cannot be built on no batch comes after the check.
    cfg.param_scheduler = dict(
        type='OneCycleLR', eta_max=0.1, total_steps=1, convert_to_iter_based=True
    )
    del cfg.default_hooks['preflight']
    runner = Runner.from_cfg(cfg)
    assert preflight_of(runner) is None
    hook = preflight_of(with_preflight(runner))
    assert isinstance(hook, PreflightHook)
    assert preflight_of(with_preflight(runner)) is hook
    with pytest.raises(SystemExit, match='^train_dataloader has 20 samples'):
        run_tool(lambda: hook.check_training(runner), PreflightError)


def test_nothing_is_changed_by_the_checks(tmp_path):
    """Weights after a training are those without checks, bit for bit."""
    with_checks = train(small(tmp_path / 'with'))
    cfg = small(tmp_path / 'without')
    del cfg.default_hooks['preflight']
    without = train(cfg)
    for one, other in zip(
        with_checks.model.parameters(), without.model.parameters(), strict=True
    ):
        assert torch.equal(one, other)
    # A second run of the same runner is checked, too.
    cfg = small(tmp_path / 'test', load_from=str(tmp_path / 'with/epoch_1.pth'))
    cfg.test_dataloader.dataset.metainfo = TURNED
    runner = Runner.from_cfg(cfg)
    with pytest.raises(PreflightError, match='test_dataloader and the check'):
        runner.test()
    resumed = small(
        tmp_path / 'resumed', resume=True, load_from=str(tmp_path / 'with/epoch_1.pth')
    )
    for name in ('train', 'val', 'test'):
        resumed[f'{name}_dataloader'].dataset.metainfo = TURNED
    with pytest.raises(PreflightError, match='train_dataloader and the check'):
        Runner.from_cfg(resumed).train()


# -- what a cleaning leaves --------------------------------------------------
def decide(dataset, dropped):
    """A cleaning that drops the samples of a mask."""
    ids = np.sort(dataset.sample_ids)
    labels = dataset.given_labels[ids]
    zeros = np.zeros(len(ids))
    return LabelDecisions(
        sample_id=ids,
        given_label=labels,
        subset=zeros,
        attack_steps=zeros,
        given_probability=zeros,
        candidate=dropped(ids, labels),
        suggested_label=labels,
        decision=np.where(dropped(ids, labels), 'drop', 'keep'),
        noise_score=zeros,
    )


@pytest.fixture
def cleaned(tmp_path, monkeypatch):
    """Train after a cleaning that takes no time."""
    monkeypatch.setattr('mmfer.methods.gaave.hook.write_report', lambda *args: None)

    def run(dropped, name='ce/ce_r18_synthfaces', **options):
        cfg = tiny_config(
            tmp_path,
            name,
            train_cfg__max_epochs=1,
            train_dataloader__dataset__num_samples=64,
            val_dataloader__dataset__num_samples=14,
            custom_hooks=[dict(type='GAAVEHook')],
            **options,
        )
        runner = Runner.from_cfg(cfg)
        hook = next(h for h in runner.hooks if hasattr(h, 'method'))
        hook.method = Cleaner(dropped)
        runner.train()
        return runner, json.loads((tmp_path / 'history.json').read_text())

    return run


class Cleaner:
    base = None

    def __init__(self, dropped):
        self.dropped = dropped

    def __call__(self, cfg, dataset, *args):
        return decide(dataset, self.dropped), {}


def test_few_samples_are_left(cleaned):
    """The hours of cleaning are not lost: the batch becomes smaller."""
    runner, (epoch,) = cleaned(lambda ids, labels: ids >= 20)
    assert runner.train_dataloader.batch_size == epoch['images'] == 20


def test_a_batch_of_one_is_left(cleaned):
    runner, (epoch,) = cleaned(
        lambda ids, labels: ids >= 33,
        'alum/alum_r18_synthfaces',
        train_dataloader__batch_size=8,
        train_dataloader__drop_last=False,
    )
    assert runner.train_dataloader.drop_last and epoch['images'] == 32


def test_decisions_that_leave_one_class(tmp_path, monkeypatch):
    cfg = small(tmp_path, train_dataloader__batch_size=4)
    labels = faces(num_samples=64).given_labels
    rows = ['sample_id,image,given_label,noise_score,suggested_label,decision']
    rows += [
        f'{i},synthfaces/train/{i:06d}.png,{label},0,{label},'
        f'{"keep" if label == 2 else "drop"}'
        for i, label in enumerate(labels)
    ]
    path = tmp_path / 'scores.csv'
    path.write_text('\n'.join(rows) + '\n')
    cfg.train_dataloader.dataset.decisions = str(path)
    said = []
    monkeypatch.setattr(
        'mmfer.engine.preflight.checks.print_log',
        lambda text, *args, **kwargs: said.append(text),
    )
    runner = Runner.from_cfg(cfg)
    preflight_of(runner).check_training(runner)
    (text,) = said
    assert f'of {EXPRESSIONS[2]} only after {path} has dropped' in text


def test_other_hooks_that_drop_samples(tmp_path):
    """Any hook may; what is left is checked before it is trained on."""

    class Drop(Hook):
        def before_run(self, runner):
            cfg = dict(runner.cfg.train_dataloader)
            cfg['dataset'] = dict(cfg['dataset'], indices=20)
            runner._train_dataloader = cfg
            runner._train_loop = runner.build_train_loop(runner.cfg.train_cfg)

    with pytest.raises(PreflightError, match='20 < 32'):
        train(small(tmp_path), Drop())


def test_fitting_loop_leaves_what_fits(tmp_path):
    runner = Runner.from_cfg(small(tmp_path))
    build_fitting_loop(runner, runner.cfg.train_dataloader, runner.cfg.train_cfg, 'x')
    assert runner.train_dataloader.batch_size == 32
    assert len(runner.train_dataloader) == 2


def test_fitting_loop_leaves_batch_samplers_alone(tmp_path):
    """They state no batch size, which was compared after the cleaning."""
    cfg = small(tmp_path)
    cfg.train_dataloader.batch_sampler = dict(type='BatchSampler', drop_last=True)
    cfg.train_dataloader.pop('drop_last', None)
    DATA_SAMPLERS.register_module(module=BatchSampler, force=True)
    try:
        runner = Runner.from_cfg(cfg)
        build_fitting_loop(
            runner, runner.cfg.train_dataloader, runner.cfg.train_cfg, 'x'
        )
    finally:
        DATA_SAMPLERS.module_dict.pop('BatchSampler')
    assert len(runner.train_dataloader) == 2


def test_random_states_after_an_error():
    before = (
        random.getstate(),
        np.random.get_state()[1].copy(),
        torch.random.get_rng_state(),
    )
    with pytest.raises(KeyError), random_state_kept():
        random.random(), np.random.rand(), torch.rand(1)
        raise KeyError
    assert random.getstate() == before[0]
    assert np.array_equal(np.random.get_state()[1], before[1])
    assert torch.equal(torch.random.get_rng_state(), before[2])


def test_what_is_meant_is_only_logged(tmp_path, monkeypatch):
    """A crop that leaves little of a photo may be one around a face."""
    said = []
    monkeypatch.setattr(
        'mmfer.engine.preflight.checks.print_log',
        lambda text, *args, **kwargs: said.append(text),
    )
    cfg = small(tmp_path)
    for name in ('train', 'val', 'test'):
        dataset = cfg[f'{name}_dataloader'].dataset
        dataset.size = 72
        dataset.pipeline = [step for step in dataset.pipeline if step.type != 'Resize']
    runner = Runner.from_cfg(cfg)
    with pytest.raises(PreflightError, match='preflight.strict=False'):
        preflight_of(runner).check_training(runner)
    assert not said
    cfg.default_hooks.preflight.strict = False
    train(cfg)
    assert sum('without resizing' in text for text in said) == 2
