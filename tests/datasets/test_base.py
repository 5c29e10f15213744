"""FERDataset, through the data sets of one's own images."""

import copy
import os
import pickle
import random

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from torch._utils import ExceptionWrapper
from torch.utils.data import DataLoader

from mmfer.datasets import FERDataset, ImageFolders, ImageList, storage
from mmfer.datasets.images import UnreadableImageError
from mmfer.registry import DATASETS
from mmfer.utils.random import seeded_random_state

NOISE = dict(type='SymmetricNoise', rate=0.5, seed=0)
PIPELINE = [dict(type='LoadFERImage'), dict(type='PackFERInputs')]
AUGMENT = [
    dict(type='LoadFERImage'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='GaussianNoise', variance=30),
    dict(
        type='RandomApply',
        prob=0.5,
        transforms=[dict(type='ColorJitter', brightness=0.5)],
    ),
    dict(type='PackFERInputs'),
]
# Writes into the image that it is given.
ERASE = [
    dict(type='LoadFERImage'),
    dict(type='RandomErasing', erase_prob=1.0, mode='const'),
    dict(type='PackFERInputs'),
]


def ids_of(dataset):
    return [dataset.get_data_info(i)['sample_id'] for i in range(len(dataset))]


def labels_of(dataset):
    return [dataset.get_data_info(i)['gt_label'] for i in range(len(dataset))]


def same_sample(first, second):
    a, b = first['data_samples'], second['data_samples']
    return (
        torch.equal(first['inputs'], second['inputs'])
        and torch.equal(a.gt_label, b.gt_label)
        and a.metainfo == b.metainfo
    )


def loader(dataset, workers):
    return DataLoader(
        dataset,
        batch_size=4,
        num_workers=workers,
        collate_fn=pseudo_collate,
        persistent_workers=workers > 0,
    )


def samples_of(dataset, workers):
    """The samples of one epoch, by a loader."""
    found = []
    for batch in loader(dataset, workers):
        found += [
            dict(inputs=x, data_samples=y)
            for x, y in zip(batch['inputs'], batch['data_samples'], strict=True)
        ]
    return found


def truncate(path, drop=40):
    path.write_bytes(path.read_bytes()[:-drop])


# -- sample_id and subsets ---------------------------------------------------
@pytest.mark.parametrize('serialize', [True, False])
def test_sample_id_is_the_row_in_the_full_list(image_list, serialize):
    full = ImageList(serialize_data=serialize, **image_list())
    assert ids_of(full) == list(range(12))
    assert full.sample_ids.tolist() == list(range(12))
    assert full.sample_ids.dtype == np.int64

    chosen = ImageList(serialize_data=serialize, indices=[7, 2, 9], **image_list())
    assert ids_of(chosen) == chosen.sample_ids.tolist() == [7, 2, 9]

    part = full.get_subset([10, 3, 4])
    assert ids_of(part) == part.sample_ids.tolist() == [10, 3, 4]
    again = part.get_subset([2, 0])
    assert ids_of(again) == again.sample_ids.tolist() == [4, 10]
    # The sets they were taken from are as they were.
    assert part.sample_ids.tolist() == [10, 3, 4]
    assert full.sample_ids.tolist() == list(range(12))

    full.get_subset_([5, 1])
    assert ids_of(full) == full.sample_ids.tolist() == [5, 1]
    full.get_subset_(-1)
    assert ids_of(full) == full.sample_ids.tolist() == [1]
    assert full.get_subset([]).sample_ids.tolist() == []
    assert full.get_subset([]).get_gt_labels().tolist() == []


def test_sample_ids_are_gathered_once_and_safe(image_list, monkeypatch):
    dataset = ImageList(**image_list())
    first = dataset.sample_ids
    monkeypatch.setattr(storage.pickle, 'loads', None)
    assert dataset.sample_ids is first
    with pytest.raises(ValueError, match='read-only'):
        first[0] = 3


def test_subset_has_the_labels_of_its_samples(image_list):
    full = ImageList(label_noise=NOISE, **image_list())
    part = full.get_subset([11, 0, 5])
    assert part.get_gt_labels().tolist() == [
        full.get_gt_labels()[i] for i in (11, 0, 5)
    ]
    assert labels_of(part) == part.get_gt_labels().tolist()
    np.testing.assert_array_equal(part.clean_labels, full.clean_labels)
    np.testing.assert_array_equal(part.given_labels, full.given_labels)


def test_relabelling_reaches_subsets_and_back(image_list):
    full = ImageList(**image_list())
    first = full.get_subset([1, 2])
    full.set_labels([2], [0])
    second = full.get_subset([2, 3])
    assert labels_of(first) == [1, 0]
    assert labels_of(second) == [0, 0]
    second.set_labels([3], [2])
    assert full.get_data_info(3)['gt_label'] == 2


def test_subsets_share_images_not_settings(image_list):
    full = ImageList(cache_images=True, pipeline=PIPELINE, **image_list())
    part = full.get_subset([1, 2])
    assert part._images is full._images
    part.test_mode = True
    other = full.get_subset([3])
    pipelines = [full.pipeline, part.pipeline, other.pipeline]
    assert len({id(pipeline) for pipeline in pipelines}) == 3
    assert not full.test_mode
    assert same_sample(part[1], full[2])


def test_deep_copy_has_labels_of_its_own_in_shared_memory(image_list):
    dataset = ImageList(**image_list())
    twin = copy.deepcopy(dataset)
    twin.set_labels([0], [2])
    assert dataset.get_gt_labels()[0] == 0
    assert twin.all_labels.is_shared()
    assert twin._random_state.is_shared()


# -- noise and the sidecar ---------------------------------------------------
def test_noise_is_planted_and_the_truth_kept_aside(image_list):
    plain = ImageList(**image_list(60))
    noisy = ImageList(label_noise=NOISE, **image_list(60))
    assert plain.clean_labels is None and plain.noise_manifest() is None
    np.testing.assert_array_equal(noisy.clean_labels, plain.get_gt_labels())
    wrong = noisy.get_gt_labels() != noisy.clean_labels
    assert wrong.sum() == 30
    assert labels_of(noisy) == noisy.get_gt_labels().tolist()
    manifest = noisy.noise_manifest()
    assert manifest['num_changed'] == 30 and manifest['seed'] == 0

    # A second one has the same, a subset the same rows of it.
    again = ImageList(label_noise=NOISE, **image_list(60))
    np.testing.assert_array_equal(again.given_labels, noisy.given_labels)
    some = ImageList(label_noise=NOISE, indices=[50, 3], **image_list(60))
    assert labels_of(some) == noisy.given_labels[[50, 3]].tolist()


def test_given_labels_outlive_relabelling(image_list):
    dataset = ImageList(label_noise=NOISE, **image_list())
    before = dataset.given_labels.copy()
    dataset.set_labels(dataset.sample_ids, dataset.clean_labels)
    assert labels_of(dataset) == dataset.clean_labels.tolist()
    np.testing.assert_array_equal(dataset.given_labels, before)
    assert dataset.noise_manifest()['num_changed'] == 6


class WithCleanLabels(ImageList):
    """As a published noisy list: the truth beside the given label."""

    def load_samples(self):
        samples = super().load_samples()
        for sample in samples:
            sample['clean_label'] = (sample['gt_label'] + 1) % 3
        return samples


def test_clean_labels_of_a_list_go_to_the_sidecar(image_list):
    dataset = WithCleanLabels(**image_list())
    np.testing.assert_array_equal(
        dataset.clean_labels, (dataset.get_gt_labels() + 1) % 3
    )
    with pytest.raises(ValueError, match='noisy list already'):
        WithCleanLabels(label_noise=NOISE, **image_list())


@pytest.mark.parametrize('cls', [ImageList, WithCleanLabels])
def test_no_sample_holds_the_clean_label(image_list, cls):
    noise = None if cls is WithCleanLabels else NOISE
    dataset = cls(label_noise=noise, pipeline=PIPELINE, **image_list())
    allowed = {'img_path', 'sample_id', 'sample_idx', 'gt_label'}
    for i in range(len(dataset)):
        assert set(dataset.get_data_info(i)) == allowed
        packed = dataset[i]
        assert set(packed) == {'inputs', 'data_samples'}
        assert set(packed['data_samples'].keys()) == {'gt_label'}
        assert set(packed['data_samples'].metainfo) == {'sample_id', 'img_path'}


@pytest.mark.parametrize('cls', [ImageList, WithCleanLabels])
def test_poisoned_sidecar_changes_no_sample(image_list, cls):
    noise = None if cls is WithCleanLabels else NOISE
    dataset = cls(label_noise=noise, pipeline=AUGMENT, **image_list())
    dataset.set_random_state(seed=0, epoch=0)
    before = [dataset[i] for i in range(len(dataset))]
    labels = dataset.get_gt_labels()
    dataset._labels.clean[:] = -7
    after = [dataset[i] for i in range(len(dataset))]
    assert all(map(same_sample, before, after))
    np.testing.assert_array_equal(dataset.get_gt_labels(), labels)
    np.testing.assert_array_equal(dataset.given_labels, labels)


def test_noise_on_an_evaluation_split_is_refused(image_list):
    with pytest.raises(ValueError, match='measure the noise, not the model'):
        ImageList(label_noise=NOISE, test_mode=True, **image_list())


def test_builds_from_a_config_in_scope(image_list):
    dataset = DATASETS.build(
        dict(type='ImageList', label_noise=NOISE, pipeline=AUGMENT, **image_list())
    )
    assert isinstance(dataset, FERDataset)
    assert dataset[0]['inputs'].shape == (3, 16, 16)


@pytest.mark.parametrize(
    'name', ['sample_ids', 'clean_labels', 'given_labels', 'all_labels']
)
def test_lazy_data_set_loads_when_asked(image_list, name):
    args = image_list()
    lazy = ImageList(label_noise=NOISE, lazy_init=True, **args)
    np.testing.assert_array_equal(
        getattr(lazy, name), getattr(ImageList(label_noise=NOISE, **args), name)
    )


# -- labels ------------------------------------------------------------------
def test_set_labels_checks(image_list):
    dataset = ImageList(**image_list())
    with pytest.raises(ValueError, match=r'outside \[0, 3\), e.g. 3'):
        dataset.set_labels([0, 1], [0, 3])
    with pytest.raises(ValueError, match='one label for each'):
        dataset.set_labels([0, 1], [0])
    dataset.set_labels([], [])
    assert labels_of(dataset) == [0, 1, 2] * 4
    dataset.set_labels(np.array([4, 2]), np.array([0, 1]))
    assert dataset.get_gt_labels()[[4, 2]].tolist() == [0, 1]
    assert dataset.get_cat_ids(4) == [0]


@pytest.mark.parametrize('part', [False, True])
def test_running_workers_see_new_labels_and_epochs(image_list, part):
    dataset = ImageList(pipeline=AUGMENT, **image_list(8))
    if part:
        dataset = dataset.get_subset(list(range(1, 8)))
    batches = loader(dataset, workers=1)

    def epoch():
        samples = [
            (x, y)
            for batch in batches
            for x, y in zip(batch['inputs'], batch['data_samples'], strict=True)
        ]
        return {y.sample_id: (x, int(y.gt_label)) for x, y in samples}

    first = epoch()
    workers = [w.pid for w in batches._iterator._workers]
    dataset.set_labels([5], [1])
    dataset.set_random_state(0, 1)
    second = epoch()
    assert [w.pid for w in batches._iterator._workers] == workers
    assert first[5][1] == 2 and second[5][1] == 1
    assert not torch.equal(first[5][0], second[5][0])
    assert dataset.get_gt_labels()[dataset.sample_ids == 5] == 1
    dataset.set_random_state(0, 1)
    here = dataset[dataset.sample_ids.tolist().index(5)]
    assert torch.equal(second[5][0], here['inputs'])


# -- randomness --------------------------------------------------------------
def test_augmentation_is_a_function_of_seed_epoch_and_sample(image_list):
    dataset = ImageList(pipeline=AUGMENT, **image_list())

    def epoch(seed, number, workers=0):
        dataset.set_random_state(seed, number)
        return samples_of(dataset, workers)

    reference = epoch(0, 3)
    assert all(map(same_sample, reference, epoch(0, 3)))
    assert all(map(same_sample, reference, epoch(0, 3, workers=2)))
    assert not any(map(same_sample, reference, epoch(0, 4)))
    assert not any(map(same_sample, reference, epoch(1, 3)))
    # Whatever else was drawn, and in whatever order samples are asked for.
    random.seed(9), np.random.seed(9), torch.manual_seed(9)
    dataset.set_random_state(0, 3)
    assert same_sample(dataset[7], reference[7])
    assert same_sample(dataset[2], reference[2])
    part = dataset.get_subset([7])
    assert torch.equal(part[0]['inputs'], reference[7]['inputs'])


def test_samples_of_one_image_draw_apart(image_list, tmp_path):
    args = image_list()
    name = tmp_path / 'images/000.png'
    for i in range(1, 12):
        (tmp_path / f'images/{i:03d}.png').write_bytes(name.read_bytes())
    dataset = ImageList(pipeline=AUGMENT, **args)
    images = {dataset[i]['inputs'].numpy().tobytes() for i in range(12)}
    assert len(images) == 12


@pytest.mark.parametrize('test_mode', [False, True])
def test_global_random_states_are_left_alone(image_list, test_mode):
    pipeline = PIPELINE if test_mode else AUGMENT
    dataset = ImageList(pipeline=pipeline, test_mode=test_mode, **image_list())
    dataset.set_random_state(seed=0, epoch=0)
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    for i in range(3):
        dataset[i]
    assert random.getstate() == states[0]
    now = np.random.get_state()
    assert now[0] == states[1][0] and now[2:] == states[1][2:]
    np.testing.assert_array_equal(now[1], states[1][1])
    assert torch.equal(torch.get_rng_state(), states[2])


def test_augmentation_varies_where_nobody_sets_the_epoch(image_list):
    """In loops that are not by epoch, or in a loop of one's own."""
    dataset = ImageList(pipeline=AUGMENT, **image_list())
    torch.manual_seed(0), np.random.seed(0)
    images = [dataset[0]['inputs'] for _ in range(20)]
    assert any(not torch.equal(images[0], image) for image in images)


def test_global_random_states_survive_an_error():
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    expected = random.random(), np.random.rand(), torch.rand(1)
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    with pytest.raises(KeyError):
        with seeded_random_state(0, 1, 2):
            random.random(), np.random.rand(), torch.rand(1)
            raise KeyError
    assert (random.random(), np.random.rand(), torch.rand(1)) == expected


# -- cache -------------------------------------------------------------------
@pytest.mark.parametrize('pipeline', [PIPELINE, AUGMENT, ERASE])
def test_cached_images_give_the_same_samples(image_list, pipeline):
    args = dict(image_list(), pipeline=pipeline, label_noise=NOISE)
    plain = ImageList(**args)
    cached = ImageList(cache_images=True, **args)
    for epoch in range(3):
        for dataset in (plain, cached):
            dataset.set_random_state(0, epoch)
        assert all(same_sample(plain[i], cached[i]) for i in range(len(plain)))


def test_cached_images_are_not_read_again(image_list, tmp_path):
    args = image_list()
    dataset = ImageList(cache_images=True, indices=[4, 6], pipeline=PIPELINE, **args)
    first = dataset[1]
    for path in (tmp_path / 'images').iterdir():
        path.unlink()
    assert same_sample(dataset[1], first)


def test_cache_needs_the_loading_transform(image_list):
    for pipeline in ([], [dict(type='LoadImageFromFile')]):
        with pytest.raises(ValueError, match='LoadFERImage'):
            ImageList(cache_images=True, pipeline=pipeline, **image_list())


# -- bad files ---------------------------------------------------------------
def damage(path, how):
    if how == 'empty':
        path.write_bytes(b'')
    elif how == 'text':
        path.write_text('<html>404</html>')
    else:
        truncate(path)


@pytest.mark.parametrize('cache', [False, True])
@pytest.mark.parametrize(
    'extension, how, what',
    [
        ('jpg', 'truncated', 'truncated JPEG'),
        ('png', 'truncated', 'truncated PNG'),
        ('png', 'empty', 'empty'),
        ('jpg', 'text', 'not a readable image'),
    ],
)
def test_bad_image_stops(image_list, tmp_path, extension, how, what, cache):
    args = dict(image_list(extension=extension), pipeline=PIPELINE)
    bad = [tmp_path / f'images/{i:03d}.{extension}' for i in (4, 8, 9)]
    for path in bad:
        damage(path, how)
    with pytest.raises(UnreadableImageError, match=what) as caught:
        ImageList(cache_images=cache, **args)[4]
    message = str(caught.value)
    assert str(bad[0]) in message
    assert 'ImageList: 3 of 12 image files' in message
    assert 'train_dataloader.dataset.on_bad_image=skip' in message


def test_bad_image_of_an_evaluation_split(image_list, tmp_path):
    args = image_list()
    truncate(tmp_path / 'images/001.png')
    dataset = ImageList(test_mode=True, pipeline=PIPELINE, **args)
    with pytest.raises(UnreadableImageError) as caught:
        dataset[1]
    assert '1 of 12' in str(caught.value)
    assert 'val_dataloader.dataset.on_bad_image=skip' in str(caught.value)


def test_bad_image_in_a_worker(image_list, tmp_path):
    args = image_list()
    truncate(tmp_path / 'images/001.png')
    dataset = ImageList(pipeline=PIPELINE, **args)
    try:
        dataset[1]
    except UnreadableImageError:
        # How a DataLoader carries errors over; real workers take 5 s to end.
        carried = ExceptionWrapper(where='in DataLoader worker process 0')
    with pytest.raises(UnreadableImageError, match=r'001\.png.*1 of 12'):
        carried.reraise()


def test_skip_leaves_bad_images_out_and_says_so(image_list, tmp_path, said):
    args = dict(image_list(), pipeline=PIPELINE, label_noise=NOISE)
    reference = ImageList(**args)
    damage(tmp_path / 'images/003.png', 'empty')
    damage(tmp_path / 'images/007.png', 'text')
    damage(tmp_path / 'images/011.png', 'truncated')
    dataset = ImageList(on_bad_image='skip', **args)
    assert len(dataset) == 9
    assert ids_of(dataset) == [0, 1, 2, 4, 5, 6, 8, 9, 10]
    assert len(dataset.skipped) == 3
    for name, text in zip(('003', '007', '011'), dataset.skipped, strict=True):
        assert f'{name}.png' in text
    assert '3 unreadable' in dataset.skipped_report()
    assert dataset.skipped_report() in said
    # Labels belong to rows, so the noise of the others is what it was.
    np.testing.assert_array_equal(
        dataset.get_gt_labels(), reference.given_labels[dataset.sample_ids]
    )
    for i in range(9):
        dataset[i]


def test_class_emptied_by_bad_images_is_said(image_list, tmp_path, said):
    args = dict(image_list(), pipeline=PIPELINE)
    labels = ImageList(**args).given_labels
    gone = np.flatnonzero(labels == 1)
    for i in gone[1:]:
        damage(tmp_path / f'images/{i:03d}.png', 'empty')
    ImageList(on_bad_image='skip', **args)
    assert not [text for text in said if 'no sample of' in text]
    damage(tmp_path / f'images/{gone[0]:03d}.png', 'empty')
    ImageList(on_bad_image='skip', **args)
    (text,) = [text for text in said if 'no sample of' in text]
    assert "on_bad_image='skip'" in text
    assert f'{12 - len(gone)} samples of 12' in text


def test_skip_logs_through_the_real_logger(image_list, tmp_path):
    args = image_list()
    damage(tmp_path / 'images/003.png', 'empty')
    assert len(ImageList(on_bad_image='skip', **args).skipped) == 1


def test_skip_with_nothing_left(image_list, tmp_path):
    args = image_list(3)
    for path in (tmp_path / 'images').iterdir():
        damage(path, 'empty')
    with pytest.raises(ValueError, match='not one of 3 images'):
        ImageList(on_bad_image='skip', **args)


def test_on_bad_image_is_checked(image_list):
    with pytest.raises(ValueError, match='on_bad_image'):
        ImageList(on_bad_image='ignore', **image_list())


# -- missing files -----------------------------------------------------------
def test_missing_images(image_list, tmp_path):
    args = image_list()
    (tmp_path / 'images/005.png').unlink()
    (tmp_path / 'images/008.png').unlink()
    with pytest.raises(FileNotFoundError, match='2 of 12.*005.png'):
        ImageList(**args)
    assert len(ImageList(check_files=False, **args)) == 12


def test_missing_image_folder(image_list):
    args = dict(image_list(), data_prefix='elsewhere')
    with pytest.raises(FileNotFoundError, match='12 of 12'):
        ImageList(**args)


def test_images_in_the_working_directory(image_list, tmp_path, monkeypatch):
    args = dict(image_list(), data_root='')
    text = (tmp_path / 'list.csv').read_text().replace('images/', '')
    (tmp_path / 'images/list.csv').write_text(text)
    monkeypatch.chdir(tmp_path / 'images')
    dataset = ImageList(pipeline=PIPELINE, **args)
    assert dataset[0]['inputs'].shape == (3, 16, 16)
    assert dataset.image_name(dataset[0]['data_samples'].img_path) == '000.png'


class NoSamples(FERDataset):
    METAINFO = dict(classes=('a', 'b'))

    def load_samples(self):
        return []


def test_empty_split_says_where_it_looked():
    with pytest.raises(ValueError, match="NoSamples: the split is empty.*'some/root'"):
        NoSamples(data_root='some/root')


class OneBased(ImageList):
    def load_samples(self):
        samples = super().load_samples()
        for sample in samples:
            sample['gt_label'] += 1
        return samples


def test_labels_out_of_range(image_list):
    with pytest.raises(ValueError) as caught:
        OneBased(**image_list())
    assert '4 label(s) outside [0, 3), e.g. 3 in row 2' in str(caught.value)
    assert 'count from 1' in str(caught.value)


@pytest.mark.parametrize(
    'classes, named',
    [
        (3, None),
        (5, 'no sample of c3, c4. The'),
        (15, 'no sample of c3, c4, c5, c6, c7, c8, c9, c10, c11, c12 and 2 more'),
    ],
)
def test_classes_without_a_sample_are_named(image_list, said, classes, named):
    """Before noise, which may fill a class with wrong labels."""
    options = image_list()
    dataset = ImageList(
        **dict(options, classes=[f'c{i}' for i in range(classes)], label_noise=NOISE)
    )
    assert len(dataset)
    texts = [text for text in said if 'no sample of' in text]
    if named is None:
        assert not texts
    else:
        (text,) = texts
        assert named in text and repr(dataset.data_root) in text


def test_image_names_in_tables(tmp_path, write_image):
    write_image(tmp_path / 'root/happy/a.png')
    dataset = ImageFolders(data_root=str(tmp_path / 'root'))
    path = dataset.get_data_info(0)['img_path']
    assert dataset.image_name(path) == os.path.join('happy', 'a.png')
    # Not a way up and out of the root.
    outside = str(tmp_path / 'b.png')
    assert dataset.image_name(outside) == outside
    inside = str(tmp_path / 'root' / '..b.png')
    assert dataset.image_name(inside) == '..b.png'


def test_large_lists_take_no_more_than_linear_time(tmp_path):
    count = 60000
    (tmp_path / 'list.txt').write_text(
        ''.join(f'{i // 1000}/{i}.jpg {i % 7}\n' for i in range(count))
    )
    dataset = ImageList(
        'list.txt',
        data_root=str(tmp_path),
        num_classes=7,
        label_noise=NOISE,
        check_files=False,
    )
    part = dataset.get_subset(list(range(0, count, 2)))
    ids = part.sample_ids
    part.set_labels(ids, np.zeros(len(ids), dtype=int))
    for _ in range(100):  # Milliseconds each, were they gathered each time.
        labels = part.get_gt_labels()
    assert len(labels) == count // 2 and not labels.any()
    assert dataset.get_gt_labels().any()


def test_pickled_data_set_keeps_what_it_needs(image_list):
    dataset = ImageList(
        label_noise=NOISE, cache_images=True, pipeline=PIPELINE, **image_list()
    )
    twin = pickle.loads(pickle.dumps(dataset))
    assert all(same_sample(dataset[i], twin[i]) for i in range(12))
    assert twin.sample_ids.tolist() == list(range(12))
