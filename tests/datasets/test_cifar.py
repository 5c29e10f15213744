import hashlib
import os
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers import CONFIGS, load_tool
from made_data import cifar_planes, make_cifar10, make_cifar100, write_cifar_batch
from mmengine.config import Config
from mmengine.runner import Runner
from mmpretrain.datasets import CIFAR10

from mmfer.datasets import ImageList, NoisyCIFAR10, NoisyCIFAR100
from mmfer.datasets import cifar as cifar_module
from mmfer.datasets.cifar import (
    long_tail_counts,
    long_tail_rows,
    read_batch,
    read_noisy_list,
)
from mmfer.datasets.cifar_n import load_label_sets
from mmfer.datasets.label_noise import CIFAR10_CONFUSIONS, labels_sha256
from mmfer.registry import DATASETS, MODELS

ROOT = Path(__file__).parents[2]
TOOL = ROOT / 'tools/dataset_converters/convert_cifar_n.py'
PIPELINE = [dict(type='LoadFERImage'), dict(type='PackFERInputs')]
NOISE = dict(type='SymmetricNoise', rate=0.3, seed=0)
FOLDER = 'cifar-10-batches-py'
LABELS = [i % 10 for i in range(50)]
# Eight wrong ones, not the same in every image of a class.
NOISY = [(i % 10 + (i % 7 == 0)) % 10 for i in range(50)]


tool = load_tool('dataset_converters/convert_cifar_n.py')


@pytest.fixture(params=['batches', 'list'])
def root(request, tmp_path):
    return str(make_cifar10(tmp_path / 'cifar', layout=request.param))


@pytest.fixture
def batches(tmp_path):
    return make_cifar10(tmp_path / 'cifar')


@pytest.fixture
def listed(tmp_path):
    return make_cifar10(tmp_path / 'cifar', layout='list')


@pytest.fixture
def write_list(tmp_path):

    def write_list(text, name='noisy.txt'):
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write_list


@pytest.fixture
def noisy_list(write_list):
    return write_list(''.join(f'{label}\n' for label in NOISY))


def rgb(count, seed=0):
    """Made images as (N, 3, 32, 32), the channels R, G, B."""
    return cifar_planes(count, seed).reshape(-1, 3, 32, 32)


def infos_of(dataset):
    return [dataset.get_data_info(i) for i in range(len(dataset))]


# -- both layouts ------------------------------------------------------------
def test_pixels_and_labels_are_in_place(root):
    dataset = NoisyCIFAR10(root, pipeline=PIPELINE)
    assert dataset.get_gt_labels().tolist() == LABELS
    assert dataset.sample_ids.tolist() == list(range(50))
    assert dataset.CLASSES[:3] == ('airplane', 'automobile', 'bird')
    wanted = rgb(50)
    for i in (0, 9, 10, 49):
        # BGR, as image files come out of LoadFERImage.
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
    # Two of five in each of the five mapped classes.
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
    """A config that says CIFAR10 gets what it gets in mmpretrain."""
    assert DATASETS.get('CIFAR10') is CIFAR10
    assert DATASETS.get('NoisyCIFAR10') is NoisyCIFAR10


# -- batches -----------------------------------------------------------------
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


class Poison:
    """Would make a file if it were unpickled without care."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_poisoned_batch_is_refused(batches, tmp_path):
    mark = tmp_path / 'ran'
    path = batches / FOLDER / 'data_batch_3'
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        path.write_bytes(
            pickle.dumps(
                dict(data=cifar_planes(1, 0), labels=[0], filenames=Poison(str(mark))),
                protocol=protocol,
            )
        )
        with pytest.raises(ValueError) as caught:
            NoisyCIFAR10(str(batches))
        assert str(path) in str(caught.value)
        assert 'mkdir' in str(caught.value)
        assert not mark.exists()
    # Nor by another name of what may be used.
    path.write_bytes(b'\x80\x04\x8c\x05numpy\x8c\x0fndarray.tobytes\x93.')
    with pytest.raises(ValueError, match='asks for numpy.ndarray.tobytes'):
        NoisyCIFAR10(str(batches))


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_batches_that_were_saved_again(tmp_path, protocol):
    path = tmp_path / 'data_batch_1'
    planes = cifar_planes(3, 7)
    for encode in (str, str.encode):
        batch = {encode('data'): planes, encode('labels'): [1, 9, 4]}
        path.write_bytes(pickle.dumps(batch, protocol=protocol))
        labels, pixels = read_batch(str(path), 'labels')
        assert labels.tolist() == [1, 9, 4]
        np.testing.assert_array_equal(pixels, planes)


def test_broken_batches(tmp_path):
    path = tmp_path / 'data_batch_1'
    write_cifar_batch(path, cifar_planes(3, 0), [1, 2, 3])
    whole = path.read_bytes()
    fine = pickle.dumps(dict(data=cifar_planes(3, 0), fine_labels=[1, 2, 3]))
    short = pickle.dumps(dict(data=cifar_planes(3, 0), labels=[1, 2]))
    wide = pickle.dumps(dict(data=cifar_planes(3, 0).astype(float), labels=[1, 2, 3]))
    for content in (
        whole[:-5],
        whole[:4000],
        b'',
        b'no pickle',
        fine,
        short,
        wide,
        pickle.dumps([1]),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError) as caught:
            read_batch(str(path), 'labels')
        assert f'{path} is not a complete CIFAR batch' in str(caught.value)


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


# -- image files with lists --------------------------------------------------
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


# -- long tail ---------------------------------------------------------------
def test_counts_of_the_papers_long_tail():
    counts = long_tail_counts([5000] * 10, 50)
    assert counts.tolist() == [5000, 3237, 2096, 1357, 878, 568, 368, 238, 154, 100]
    assert counts.sum() == 13996
    assert long_tail_counts([500] * 100, 10)[[0, -1]].tolist() == [500, 50]


def test_counts_of_a_long_tail_in_general():
    assert long_tail_counts([700] * 3, 7)[[0, -1]].tolist() == [700, 100]
    assert long_tail_counts([10000] * 3, 100).tolist() == [10000, 1000, 100]
    assert long_tail_counts([5] * 4, 1).tolist() == [5] * 4
    # Nobody gets more than there is, and nobody vanishes.
    assert long_tail_counts([10, 3, 0, 9], 1000).tolist() == [10, 1, 0, 1]
    assert long_tail_counts([4, 100, 50], 2).tolist() == [4, 70, 50]


def test_rows_of_a_long_tail():
    labels = np.arange(200) % 10
    few = long_tail_rows(labels, 10, 20, seed=0)
    many = long_tail_rows(labels, 10, 5, seed=0)
    assert np.bincount(labels[few]).tolist() == long_tail_counts([20] * 10, 20).tolist()
    assert (np.diff(few) > 0).all()
    assert set(few) < set(many)
    assert few.tolist() == long_tail_rows(labels, 10, 20, seed=0).tolist()
    assert few.tolist() != long_tail_rows(labels, 10, 20, seed=1).tolist()
    # Not just the first of each class.
    assert few.max() > 100


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

    # Samples are numbered anew; the old number is kept beside.
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
        (dict(long_tail=0.02), 'long_tail=0.02 is no imbalance ratio'),
        (dict(long_tail=float('inf')), 'long_tail=inf'),
        (dict(long_tail='50'), "long_tail='50'"),
        (dict(long_tail=50, long_tail_seed=-1), 'long_tail_seed=-1'),
        (dict(long_tail=50, split='test'), 'stays balanced'),
    ],
)
def test_long_tails_that_make_no_sense(batches, settings, part):
    with pytest.raises(ValueError, match=part):
        NoisyCIFAR10(str(batches), **settings)


# -- N lists -----------------------------------------------------------------
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
    """The list counts original images; the tail is cut by true labels."""
    dataset = NoisyCIFAR10(root, noisy_list=noisy_list, long_tail=5.0)
    plain = NoisyCIFAR10(root, long_tail=5.0)
    assert dataset.clean_labels.tolist() == plain.get_gt_labels().tolist()
    for info in infos_of(dataset):
        assert info['gt_label'] == NOISY[info['original_index']]
    assert dataset.noise_manifest()['long_tail'] == 5


def test_forms_of_a_noisy_list(write_list):
    order = np.random.default_rng(0).permutation(50)
    for row in (
        '{0} {1}',
        '{0},{1}',
        'train_{0:05d} {1}',
        'train/{0:05d}.jpg, {1}',
        '{0}\t{1}',
    ):
        text = '\r\n'.join(row.format(i, NOISY[i]) for i in order)
        path = write_list(f'# by image\n\n{text}')
        assert read_noisy_list(path, 50, 10).tolist() == NOISY


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16'])
@pytest.mark.parametrize(
    'head, row',
    [
        (',label', '{0},{1}'),
        ('index;noisy_label', '{0};{1}'),
        ('label\tindex', '{1}\t{0}'),
        ('"label"', '"{1}"'),
        ('label,', '{1},'),
        ('# a\n"label","image"', '"{1}.0","train_{0:05d}.jpg"'),
        ('label index', '{1} {0}'),
        ('', '{0}.0,{1}.0'),
    ],
)
def test_noisy_lists_of_spreadsheets(tmp_path, head, row, encoding):
    lines = [head, *(row.format(i, label) for i, label in enumerate(NOISY))]
    path = tmp_path / 'noisy.csv'
    path.write_bytes('\r\n'.join(lines).encode(encoding))
    assert read_noisy_list(str(path), 50, 10).tolist() == NOISY


def test_noisy_list_of_class_names(write_list):
    path = write_list('cat\nDog\ncat\n')
    assert read_noisy_list(path, 3, 2, classes=['dog', 'cat']).tolist() == [1, 0, 1]
    with pytest.raises(ValueError, match='line 1: .*neither a label'):
        read_noisy_list(path, 3, 2, classes=['dog', 'hog'])


def test_comments_of_a_noisy_list_are_said(write_list, monkeypatch):
    said = []
    monkeypatch.setattr(
        cifar_module, 'print_log', lambda text, *_, **__: said.append(text)
    )
    path = write_list('# a\n0 1\n#1 2\n1 0\n')
    assert read_noisy_list(path, 2, 3).tolist() == [1, 0]
    assert len(said) == 1 and '2 line(s)' in said[0] and "'# a'" in said[0]


@pytest.mark.parametrize(
    'text, part',
    [
        ('label,age\n1,2\n', "line 1: .*column 'age'"),
        ('label,label\n1,1\n', "line 1: .*'label'"),
        ('index,label\n0,1\n1\n', 'line 3: .*1 fields, where 2'),
        ('label\n1\n0 1\n', 'line 3'),
        ('1\n1e0\n0\n', "line 2: '1e0' is neither"),
        ('1\n\u0661\n0\n', 'line 2'),
        ('1\n1_0\n0\n', 'line 2'),
        ('1\n1.5\n0\n', 'line 2'),
        ('0 1\n1,2\n2 0\n', 'line 2'),
        ('1\n2\n', '2 labels for 3 images, none for image 2'),
        ('1\n2\n0\n1\n', '4 labels for 3 images'),
        ('', '0 labels for 3 images'),
        ('0 1\n1 2\n3 0\n', '3 labels for 3 images, none for image 2'),
        ('1\n5\n0\n', r"line 2: '5': the label is outside \[0, 5\)"),
        ('0 1\n1 1\n0 2\n', "line 3: '0 2': image 0 already has a label"),
        ('1\n1 2\n1\n', "line 2: '1 2': some rows have an index"),
        ('1\n-2\n0\n', "line 2: '-2' is neither"),
        ('1\nfrog\n0\n', 'neither a label nor an index'),
        ('1\n0 1 2\n0\n', 'neither a label nor an index'),
    ],
)
def test_noisy_lists_that_do_not_fit(write_list, text, part):
    with pytest.raises(ValueError, match=part):
        read_noisy_list(write_list(text), 3, 5)


def test_noisy_list_that_is_no_text(tmp_path):
    path = tmp_path / 'CIFAR-10_human.pt'
    path.write_bytes(b'PK\x03\x04\xff\xfe')
    with pytest.raises(ValueError, match='not a text file.*convert_cifar_n'):
        read_noisy_list(str(path), 3, 5)
    with pytest.raises(FileNotFoundError, match='no file.*convert_cifar_n'):
        read_noisy_list(str(tmp_path / 'gone.txt'), 3, 5)


def test_list_in_another_order_is_noticed(root, write_list, monkeypatch):
    said = []
    monkeypatch.setattr(
        cifar_module, 'print_log', lambda text, *_, **__: said.append(text)
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
    with pytest.raises(ValueError, match='label_noise on an evaluation'):
        NoisyCIFAR10(str(batches), split='test', label_noise=NOISE)


# -- the converter of N lists ------------------------------------------------
@pytest.fixture
def published(tmp_path):
    path = tmp_path / 'CIFAR-10_human.pt'
    torch.save(dict(clean_label=np.array(LABELS), worse_label=np.array(NOISY)), path)
    return path


def test_converted_list_is_read_back(published, batches, tmp_path, capsys):
    target = tmp_path / 'worse.txt'
    tool.main([str(published), str(target), '--key', 'worse_label'])
    said = capsys.readouterr().out
    assert '50 labels' in said and 'wrong labels: 0.1600' in said
    lines = target.read_text().splitlines()
    assert lines[0].startswith('# worse_label of CIFAR-10_human.pt, sha256 ')
    assert lines[1:3] == ['0 1', '1 1'] and len(lines) == 51
    dataset = NoisyCIFAR10(str(batches), noisy_list=str(target))
    assert dataset.get_gt_labels().tolist() == NOISY


@pytest.mark.parametrize('zipped', [True, False])
@pytest.mark.parametrize('dtype', ['int64', 'int32', 'uint8'])
def test_published_files_of_all_ages(tmp_path, dtype, zipped, monkeypatch):
    path = tmp_path / 'CIFAR-100_human.pt'
    content = dict(noisy_label=np.array([3, 99, 0], dtype=dtype))
    for old in (False, True):
        if old:
            reconstruct = np.zeros(1).__reduce__()[0]
            monkeypatch.setattr(reconstruct, '__module__', 'numpy.core.multiarray')
        torch.save(content, path, _use_new_zipfile_serialization=zipped)
        monkeypatch.undo()
        labels = load_label_sets(path.read_bytes())['noisy_label']
        assert labels.tolist() == [3, 99, 0] and labels.dtype == np.int64


def test_poisoned_file_is_refused(tmp_path):
    path, mark = tmp_path / 'CIFAR-10_human.pt', tmp_path / 'ran'
    for zipped in (True, False):
        torch.save(
            dict(worse_label=Poison(str(mark))),
            path,
            _use_new_zipfile_serialization=zipped,
        )
        with pytest.raises(SystemExit) as caught:
            tool.main([str(path), str(tmp_path / 'a.txt'), '--key', 'x'])
        assert 'something else than arrays' in str(caught.value)
        # Nor is it advised to load it regardless.
        assert 'weights_only' not in str(caught.value)
        assert 'Nothing was written' in str(caught.value)
        assert not mark.exists() and not (tmp_path / 'a.txt').exists()


def test_what_cannot_be_converted(published, tmp_path):
    target = str(tmp_path / 'a.txt')

    def refusal(source, key='worse_label', target=target):
        with pytest.raises(SystemExit) as caught:
            tool.main([str(source), target, '--key', key])
        return str(caught.value)

    assert 'Choose --key from clean_label, worse_label.' in refusal(
        published, 'aggre_label'
    )
    assert 'overwrite itself' in refusal(published, target=str(published))
    assert 'no such file' in refusal(tmp_path / 'gone.pt')
    path = tmp_path / 'other.pt'
    for content in (b'something else', b'', published.read_bytes()[:-200]):
        path.write_bytes(content)
        assert 'not a whole torch file' in refusal(path)
    torch.save([1, 2], path)
    assert 'holds a list without label arrays' in refusal(path)
    assert not Path(target).exists()
