"""FERDataset: reproducible draws, images in memory, names."""

import os
import random

import numpy as np
import pytest
import torch
from dataset_helpers import AUGMENT, ERASE, NOISE, PIPELINE, same_sample, samples_of

from mmfer.datasets import FERDataset, ImageFolders, ImageList
from mmfer.registry import DATASETS
from mmfer.utils.random import seeded_random_state


def test_builds_from_a_config_in_scope(image_list):
    dataset = DATASETS.build(
        dict(type='ImageList', label_noise=NOISE, pipeline=AUGMENT, **image_list())
    )
    assert isinstance(dataset, FERDataset)
    assert dataset[0]['inputs'].shape == (3, 16, 16)


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
    # Other draws and the order of the samples do not matter.
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
    """Loops without epochs, and users' own loops, do not set it."""
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


@pytest.mark.parametrize('pipeline', [PIPELINE, AUGMENT, ERASE])
def test_stored_images_give_the_same_samples(image_list, pipeline):
    args = dict(image_list(), pipeline=pipeline, label_noise=NOISE)
    plain = ImageList(**args)
    stored = ImageList(**args)
    stored.prepare_images()
    for epoch in range(3):
        for dataset in (plain, stored):
            dataset.set_random_state(0, epoch)
        assert all(same_sample(plain[i], stored[i]) for i in range(len(plain)))


def test_stored_images_are_not_read_again(image_list, tmp_path):
    args = image_list()
    dataset = ImageList(indices=[4, 6], pipeline=PIPELINE, **args)
    dataset.prepare_images()
    first = dataset[1]
    for path in (tmp_path / 'images').iterdir():
        path.unlink()
    assert same_sample(dataset[1], first)


def test_option_of_earlier_versions_is_named(image_list):
    with pytest.raises(TypeError, match='cache_images is gone.*image_store=False'):
        ImageList(cache_images=True, **image_list())


def test_images_in_the_working_directory(image_list, tmp_path, monkeypatch):
    args = dict(image_list(), data_root='')
    text = (tmp_path / 'list.csv').read_text().replace('images/', '')
    (tmp_path / 'images/list.csv').write_text(text)
    monkeypatch.chdir(tmp_path / 'images')
    dataset = ImageList(pipeline=PIPELINE, **args)
    assert dataset[0]['inputs'].shape == (3, 16, 16)
    assert dataset.image_name(dataset[0]['data_samples'].img_path) == '000.png'


def test_image_names_in_tables(tmp_path, write_image):
    write_image(tmp_path / 'root/happy/a.png')
    dataset = ImageFolders(data_root=str(tmp_path / 'root'))
    path = dataset.get_data_info(0)['img_path']
    assert dataset.image_name(path) == os.path.join('happy', 'a.png')
    # A path outside of the root is kept, not written with '..'.
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
