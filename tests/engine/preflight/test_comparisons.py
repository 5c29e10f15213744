"""Comparisons of plain values: classes, batches, images."""

import pytest
from torch.utils.data import BatchSampler

from mmfer.engine.preflight import check_one_class
from mmfer.engine.preflight.compare_batches import (
    check_batch_count,
    check_equal_shares,
    check_single_samples,
    smallest_batch,
)
from mmfer.engine.preflight.compare_classes import (
    compare_classes,
    compare_labels,
    compare_one_hot,
    compare_outputs,
)
from mmfer.engine.preflight.compare_images import check_image_size, check_shapes
from mmfer.engine.preflight.pipeline_probe import PreparedImage
from mmfer.registry import MODELS

ABC = ('a', 'b', 'c')


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
        'Give both the same classes in the same order (classes=[...] of the data set).'
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
    """The proposed batch size leaves no batch of one image."""
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
    assert '1 of the 2 images' in check_image_size('val', [right, small], (48, 48))


def test_processes_need_equal_shares():
    assert check_equal_shares('train_dataloader', 95, True, 2) is None
    assert check_equal_shares('train_dataloader', 96, False, 2) is None
    assert check_equal_shares('train_dataloader', 95, False, 1) is None
    message = check_equal_shares('train_dataloader', 95, False, 2)
    assert '2 processes cannot share 95 samples' in message
    assert 'train_dataloader.sampler.round_up=True' in message
