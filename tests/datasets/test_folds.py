import numpy as np
import pytest

from mmfer.datasets import ImageFolders, SyntheticFaces
from mmfer.datasets.folds import fold_numbers


@pytest.mark.parametrize('count, folds', [(10, 2), (103, 10), (1000, 7), (5, 5)])
def test_folds_are_equally_large(count, folds):
    numbers = fold_numbers(count, folds)
    sizes = np.bincount(numbers, minlength=folds)
    assert sizes.sum() == count and sizes.max() - sizes.min() <= 1
    assert (numbers == fold_numbers(count, folds)).all()


def test_folds_do_not_follow_the_order():
    """Lists are often sorted by class."""
    numbers = fold_numbers(7000, 10)
    for part in np.split(numbers, 7):
        assert 60 < (part == 0).sum() < 140
    # Two data sets of different sizes have folds that differ; so have other counts.
    assert 0.05 < (fold_numbers(7000, 10) == fold_numbers(7000, 11)).mean() < 0.15


@pytest.fixture
def root(tmp_path, write_image):
    for name in ('ärger', 'b c'):
        for i in range(20):
            write_image(tmp_path / name / f'{i}.png', size=8)
    return str(tmp_path)


def test_sets_of_training_and_evaluation_share_no_image(root):
    sets = [
        (
            ImageFolders(root, fold=(i, 5)),
            ImageFolders(root, fold=(i, 5), test_mode=True),
        )
        for i in range(5)
    ]
    for train, val in sets:
        assert len(train) == 32 and len(val) == 8
        assert not set(train.image_names()) & set(val.image_names())
        assert train.CLASSES == val.CLASSES
    held_out = [name for _, val in sets for name in val.image_names()]
    assert sorted(held_out) == sorted(ImageFolders(root).image_names())
    # sample_id counts all images, so tables of a fold fit the whole set.
    train, val = sets[0]
    whole = ImageFolders(root)
    assert train.image_names() == whole.image_names(train.sample_ids)
    assert (np.sort(np.append(train.sample_ids, val.sample_ids)) == range(40)).all()
    assert (train.get_gt_labels() == whole.get_gt_labels()[train.sample_ids]).all()


def test_noise_is_that_of_the_whole_set():
    noise = dict(type='SymmetricNoise', rate=0.3, seed=0)
    options = dict(split='train', num_samples=60, label_noise=noise)
    whole, part = SyntheticFaces(**options), SyntheticFaces(fold=(1, 3), **options)
    assert (part.given_labels == whole.given_labels).all()
    assert (part.get_gt_labels() == whole.given_labels[part.sample_ids]).all()


def test_damaged_images_do_not_move_the_others(root, tmp_path):
    bad = tmp_path / 'b c/3.png'
    before = ImageFolders(root, fold=(0, 4), test_mode=True).image_names()
    bad.write_bytes(b'')
    options = dict(fold=(0, 4), on_bad_image='skip')
    after = ImageFolders(root, test_mode=True, **options).image_names()
    train = ImageFolders(root, **options).image_names()
    assert set(before) - set(after) <= {'b c/3.png'}
    assert len(after) + len(train) == 39


@pytest.mark.parametrize(
    'fold', [(10, 10), (0, 1), (-1, 5), (0.5, 5), 3, (0, 5, 1), 'ab']
)
def test_wrong_folds(root, fold):
    with pytest.raises(ValueError, match=r'fold=.*hold out the first tenth'):
        ImageFolders(root, fold=fold)


def test_too_few_images(root):
    with pytest.raises(ValueError, match='only 40 images for 41 folds'):
        ImageFolders(root, fold=(0, 41)).full_init()
