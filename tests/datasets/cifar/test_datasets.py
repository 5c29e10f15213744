import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers import CONFIGS
from made_cifar import LABELS, NOISY
from made_data import cifar_planes, make_cifar10, make_cifar100, write_cifar_batch
from mmengine.config import Config
from mmengine.runner import Runner
from mmpretrain.datasets import CIFAR10

from mmfer.datasets import ImageList, NoisyCIFAR10, NoisyCIFAR100
from mmfer.datasets.cifar.long_tail import long_tail_counts
from mmfer.datasets.noise import CIFAR10_CONFUSIONS, labels_sha256
from mmfer.registry import DATASETS, MODELS

PIPELINE = [dict(type='LoadFERImage'), dict(type='PackFERInputs')]

NOISE = dict(type='SymmetricNoise', rate=0.3, seed=0)

FOLDER = 'cifar-10-batches-py'


def rgb(count, seed=0):
    """Return made images as (N, 3, 32, 32), the channels R, G, B."""
    return cifar_planes(count, seed).reshape(-1, 3, 32, 32)


def infos_of(dataset):
    return [dataset.get_data_info(i) for i in range(len(dataset))]


def test_pixels_and_labels_are_in_place(root):
    dataset = NoisyCIFAR10(root, pipeline=PIPELINE)
    assert dataset.get_gt_labels().tolist() == LABELS
    assert dataset.sample_ids.tolist() == list(range(50))
    assert dataset.CLASSES[:3] == ('airplane', 'automobile', 'bird')
    wanted = rgb(50)
    for i in (0, 9, 10, 49):
        # Pixels are BGR, as LoadFERImage gives them for image files.
        image = dataset[i]['inputs']
        assert image.dtype == torch.uint8
        np.testing.assert_array_equal(image.numpy(), wanted[i][::-1])
        sample = dataset[i]['data_samples']
        assert int(sample.gt_label) == LABELS[i] and sample.sample_id == i

    test = NoisyCIFAR10(root, split='test', pipeline=PIPELINE)
    assert test.test_mode and len(test) == 20
    np.testing.assert_array_equal(test[3]['inputs'].numpy(), rgb(20, seed=1)[3][::-1])


def test_preprocessor_gives_rgb_in_0_to_1(root):
    cfg = Config.fromfile(f'{CONFIGS}/_base_/datasets/cifar10.py')
    preprocessor = MODELS.build(cfg.data_preprocessor)
    loader = cfg.train_dataloader
    loader.dataset.data_root = root
    loader.batch_size = 4
    loader.sampler.shuffle = False
    loader = Runner.build_dataloader(loader)
    assert len(loader) == 12 and loader.drop_last
    batch = preprocessor(next(iter(loader)))
    np.testing.assert_allclose(batch['inputs'].numpy(), rgb(4) / 255.0, rtol=1e-6)


@pytest.mark.parametrize('name, classes', [('cifar10', 10), ('cifar100', 100)])
def test_base_configs(name, classes, tmp_path):
    make = dict(cifar10=make_cifar10, cifar100=make_cifar100)[name]
    root = str(make(tmp_path))
    cfg = Config.fromfile(f'{CONFIGS}/_base_/datasets/{name}.py')
    assert cfg.data_preprocessor.num_classes == classes
    assert cfg.data_root == f'data/{name}'
    assert cfg.train_dataloader.batch_size == 128
    assert cfg.train_dataloader.drop_last
    assert not cfg.val_dataloader.get('drop_last')
    assert cfg.val_dataloader == cfg.test_dataloader
    for key, split in (('train_dataloader', 'train'), ('val_dataloader', 'test')):
        assert cfg[key].dataset.data_root == f'data/{name}'
        cfg[key].dataset.data_root = root
        dataset = DATASETS.build(cfg[key].dataset)
        assert dataset.num_classes == classes
        assert dataset.split == split
        assert dataset[0]['inputs'].shape == (3, 32, 32)


def test_names_in_tables(batches, listed):
    for root in ('batches', 'list'):
        dataset = NoisyCIFAR10(str(make_cifar10(batches.parent / root, layout=root)))
        names = [dataset.image_name(info['img_path']) for info in infos_of(dataset)]
        assert names[12] == dict(batches='train_00012', list='train/00012.png')[root]
        assert len(set(names)) == 50


def test_name_in_table_for_a_relative_root(batches, monkeypatch):
    monkeypatch.chdir(batches.parent)
    for root in ('cifar', f'cifar/{FOLDER}'):
        dataset = NoisyCIFAR10(root, split='test')
        info = dataset.get_data_info(3)
        assert dataset.image_name(info['img_path']) == 'test_00003'


def test_subset_and_relabelling(root):
    full = NoisyCIFAR10(root, pipeline=PIPELINE, label_noise=NOISE)
    part = full.get_subset([30, 2])
    assert part.sample_ids.tolist() == [30, 2]
    np.testing.assert_array_equal(part[0]['inputs'].numpy(), rgb(50)[30][::-1])
    part.set_labels([30], [9])
    assert int(full[30]['data_samples'].gt_label) == 9
    assert full.clean_labels.tolist() == LABELS


def test_both_layouts_plant_the_same_noise(tmp_path):
    datasets = [
        NoisyCIFAR10(
            str(make_cifar10(tmp_path / layout, layout=layout)),
            label_noise=NOISE,
            long_tail=3.0,
        )
        for layout in ('batches', 'list')
    ]
    first, second = (
        [(i['original_index'], i['gt_label']) for i in infos_of(dataset)]
        for dataset in datasets
    )
    assert first == second


def test_planted_noise(root):
    dataset = NoisyCIFAR10(
        root,
        label_noise=dict(type='AsymmetricNoise', rate=0.4, mapping=CIFAR10_CONFUSIONS),
    )
    moved = dataset.given_labels != dataset.clean_labels
    # Two of five samples change in each of the five mapped classes.
    assert moved.sum() == 10
    assert {
        (int(a), int(b))
        for a, b in zip(dataset.clean_labels[moved], dataset.given_labels[moved])
    } == set(CIFAR10_CONFUSIONS.items())
    for info in infos_of(dataset):
        assert 'clean_label' not in info
        assert info['gt_label'] == dataset.given_labels[info['sample_id']]
    assert 'long_tail' not in dataset.noise_manifest()


def test_missing_root(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        NoisyCIFAR10(str(tmp_path / 'nowhere'))
    for part in (
        FOLDER,
        'data_batch_1, data_batch_2',
        'nowhere/train.txt',
        'nowhere/train',
        'www.cs.toronto.edu',
        'data_root',
    ):
        assert part in str(caught.value)


def test_unknown_split(batches):
    with pytest.raises(ValueError, match="NoisyCIFAR100 has no split 'val'"):
        NoisyCIFAR100(str(batches), split='val')


def test_name_of_mmpretrain_is_left_alone():
    """A config with CIFAR10 gets mmpretrain's data set."""
    assert DATASETS.get('CIFAR10') is CIFAR10
    assert DATASETS.get('NoisyCIFAR10') is NoisyCIFAR10


def test_batches_in_the_root_itself(batches):
    assert len(NoisyCIFAR10(str(batches / FOLDER))) == 50


def test_cifar100_has_fine_labels(tmp_path):
    dataset = NoisyCIFAR100(str(make_cifar100(tmp_path)), pipeline=PIPELINE)
    assert dataset.get_gt_labels().tolist() == [*range(100)] * 2
    assert dataset.num_classes == 100 and dataset.CLASSES[99] == 'worm'
    np.testing.assert_array_equal(dataset[150]['inputs'].numpy(), rgb(200)[150][::-1])


def test_missing_batch_files_are_named(batches):
    for i in (2, 4):
        (batches / FOLDER / f'data_batch_{i}').unlink()
    with pytest.raises(FileNotFoundError) as caught:
        NoisyCIFAR10(str(batches))
    message = str(caught.value)
    assert '2 of 5 batch files' in message
    assert 'data_batch_2, data_batch_4.' in message
    assert f'tar -xzf cifar-10-python.tar.gz -C {batches}' in message
    # The other split is complete.
    assert len(NoisyCIFAR10(str(batches), split='test')) == 20


def test_label_out_of_range_in_a_batch(batches):
    for label, long_tail in ((10, None), (10, 2.0), (-1, None), (-1, 2.0)):
        write_cifar_batch(
            batches / FOLDER / 'data_batch_1', cifar_planes(2, 0), [3, label]
        )
        with pytest.raises(ValueError, match=r'outside \[0, 10\)'):
            NoisyCIFAR10(str(batches), long_tail=long_tail)


def test_samples_do_not_share_what_transforms_write_to(batches):
    erase = dict(type='RandomErasing', erase_prob=1.0, mode='const')
    dataset = NoisyCIFAR10(str(batches), pipeline=[PIPELINE[0], erase, PIPELINE[1]])
    assert (dataset[0]['inputs'].numpy() != rgb(50)[0][::-1]).any()
    np.testing.assert_array_equal(
        dataset.get_data_info(0)['img'].transpose(2, 0, 1), rgb(50)[0][::-1]
    )


def test_order_of_the_list_does_not_matter(listed):
    path = listed / 'train.txt'
    rows = path.read_text().splitlines()
    path.write_text('\n'.join(rows[::-1]))
    dataset = NoisyCIFAR10(str(listed), pipeline=PIPELINE)
    assert dataset.get_gt_labels().tolist() == LABELS
    np.testing.assert_array_equal(dataset[7]['inputs'].numpy(), rgb(50)[7][::-1])


def test_numbers_with_a_gap(listed):
    path = listed / 'train.txt'
    rows = path.read_text().splitlines()
    path.write_text('\n'.join(rows[:7] + rows[8:]))
    with pytest.raises(ValueError, match="49 images.*'00008.png'.*ImageList"):
        NoisyCIFAR10(str(listed))
    path.write_text('frog.png 6\n')
    with pytest.raises(ValueError, match="see 'frog.png'"):
        NoisyCIFAR10(str(listed))


def test_listed_images_are_checked_as_files(listed):
    (listed / 'train/00011.png').unlink()
    with pytest.raises(FileNotFoundError, match='1 of 50.*00011.png'):
        NoisyCIFAR10(str(listed))
    (listed / 'train/00011.png').write_bytes(b'')
    dataset = NoisyCIFAR10(str(listed), on_bad_image='skip')
    assert dataset.sample_ids.tolist() == [i for i in range(50) if i != 11]


def test_jpeg_list_loads_through_image_list_too(listed):
    dataset = ImageList(
        'train.txt',
        str(listed),
        data_prefix='train',
        classes=NoisyCIFAR10.METAINFO['classes'],
        label_base=0,
    )
    assert dataset.get_gt_labels().tolist() == LABELS


def test_jpeg_files(tmp_path):
    (tmp_path / 'train').mkdir()
    grey = np.full((32, 32, 3), (200, 100, 50), dtype=np.uint8)
    assert cv2.imwrite(str(tmp_path / 'train/00000.jpg'), grey)
    (tmp_path / 'train.txt').write_text('00000.jpg 6\n')
    image = NoisyCIFAR10(str(tmp_path), pipeline=PIPELINE)[0]['inputs']
    mean = image.float().mean(dim=(1, 2))
    assert torch.allclose(mean, torch.tensor([200.0, 100.0, 50.0]), atol=3)


def test_long_tail_before_noise(root):
    tail = NoisyCIFAR10(root, long_tail=5.0, pipeline=PIPELINE)
    counts = long_tail_counts([5] * 10, 5)
    assert np.bincount(tail.get_gt_labels()).tolist() == counts.tolist()
    noisy = NoisyCIFAR10(root, long_tail=5.0, label_noise=NOISE)
    assert noisy.clean_labels.tolist() == tail.get_gt_labels().tolist()
    wrong = noisy.given_labels != noisy.clean_labels
    assert wrong.sum() == round(0.3 * counts.sum())
    manifest = noisy.noise_manifest()
    assert manifest['long_tail'] == 5 and manifest['long_tail_seed'] == 0
    assert manifest['num_samples'] == counts.sum()
    assert tail.noise_manifest() is None

    # Samples are numbered again; the original number is kept too.
    assert tail.sample_ids.tolist() == list(range(counts.sum()))
    for i, info in enumerate(infos_of(tail)):
        row = info['original_index']
        assert info['gt_label'] == LABELS[row]
        np.testing.assert_array_equal(tail[i]['inputs'].numpy(), rgb(50)[row][::-1])
        assert f'{row:05d}' in info['img_path']


def test_seed_of_the_long_tail(root):
    kept = [
        [
            i['original_index']
            for i in infos_of(NoisyCIFAR10(root, long_tail=5, long_tail_seed=seed))
        ]
        for seed in (0, 0, 1)
    ]
    assert kept[0] == kept[1] != kept[2]


@pytest.mark.parametrize(
    'settings, part',
    [
        (
            dict(long_tail=0.02),
            'long_tail must be .* at least 1, got 0.02. .*imbalance',
        ),
        (dict(long_tail=float('inf')), 'long_tail must be .* got inf'),
        (dict(long_tail='50'), "long_tail must be .* got '50'"),
        (dict(long_tail=50, long_tail_seed=-1), 'long_tail_seed must be .* got -1'),
        (dict(long_tail=50, split='test'), 'stays balanced'),
    ],
)
def test_long_tails_that_make_no_sense(batches, settings, part):
    with pytest.raises(ValueError, match=part):
        NoisyCIFAR10(str(batches), **settings)


def test_noisy_list(root, noisy_list):
    dataset = NoisyCIFAR10(root, noisy_list=noisy_list, pipeline=PIPELINE)
    assert dataset.get_gt_labels().tolist() == NOISY
    assert dataset.clean_labels.tolist() == LABELS
    for i, info in enumerate(infos_of(dataset)):
        assert info['gt_label'] == NOISY[i] and 'clean_label' not in info
    assert set(dataset[0]['data_samples'].all_keys()) == {
        'gt_label',
        'sample_id',
        'img_path',
    }
    text = Path(noisy_list).read_bytes()
    assert dataset.noise_manifest() == dict(
        noisy_list='noisy.txt',
        list_sha256=hashlib.sha256(text).hexdigest(),
        num_samples=50,
        num_changed=8,
        changed_share=0.16,
        noisy_sha256=labels_sha256(NOISY),
        given_sha256=labels_sha256(LABELS),
    )


def test_noisy_list_with_a_long_tail(root, noisy_list):
    """The list counts original images; correct labels decide the tail."""
    dataset = NoisyCIFAR10(root, noisy_list=noisy_list, long_tail=5.0)
    plain = NoisyCIFAR10(root, long_tail=5.0)
    assert dataset.clean_labels.tolist() == plain.get_gt_labels().tolist()
    for info in infos_of(dataset):
        assert info['gt_label'] == NOISY[info['original_index']]
    assert dataset.noise_manifest()['long_tail'] == 5


def test_list_in_another_order_is_noticed(root, write_list, monkeypatch):
    said = []
    monkeypatch.setattr(
        'mmfer.datasets.numbered_images.print_log',
        lambda text, *_, **__: said.append(text),
    )
    NoisyCIFAR10(root, noisy_list=write_list(''.join(f'{label}\n' for label in NOISY)))
    assert not said
    path = write_list(''.join(f'{i // 5}\n' for i in range(50)))
    NoisyCIFAR10(root, noisy_list=path)
    assert len(said) == 1 and 'only 12.0% of the labels' in said[0]


def test_noisy_list_where_it_must_not_be(batches, noisy_list):
    for settings in (dict(split='test'), dict(test_mode=True)):
        with pytest.raises(ValueError, match='for an evaluation'):
            NoisyCIFAR10(str(batches), noisy_list=noisy_list, **settings)
    with pytest.raises(ValueError, match='choose one'):
        NoisyCIFAR10(str(batches), noisy_list=noisy_list, label_noise=NOISE)
    with pytest.raises(ValueError, match='label_noise=.* for an evaluation'):
        NoisyCIFAR10(str(batches), split='test', label_noise=NOISE)
