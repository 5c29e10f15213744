"""Exact and near duplicates: made copies are found, other images are not."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from mmfer.scan.duplicates import (
    SIDE,
    Thumbnails,
    connected,
    find_duplicates,
    near_pairs,
    pixel_hash,
)

FERPLUS = Path(ROOT, 'data/ferplus/FER2013Train')


def photos(count: int, seed: int = 0, side: int = 64):
    """Smooth random pictures with fine detail, BGR."""
    rng = np.random.default_rng(seed)
    images = []
    for _ in range(count):
        coarse = cv2.resize(rng.random((7, 7)), (side, side), interpolation=2)
        middle = cv2.resize(rng.random((20, 20)), (side, side), interpolation=2)
        fine = rng.random((side, side))
        image = 255 * (0.55 * coarse + 0.3 * middle + 0.15 * fine)
        images.append(cv2.cvtColor(image.clip(0, 255).astype(np.uint8), 8))
    return images


def duplicates_of(images, valid=None):
    found = Thumbnails()(images)
    return find_duplicates(found['thumbnail'], found['pixel_hash'], valid)


def brighter(image):
    return cv2.convertScaleAbs(image, alpha=1, beta=30)


def recompressed(image):
    return cv2.imdecode(cv2.imencode('.jpg', image, [1, 40])[1], 1)


CHANGES = dict(
    brighter=brighter,
    contrast=lambda image: cv2.convertScaleAbs(image, alpha=0.6, beta=20),
    recompressed=recompressed,
    smaller=lambda image: cv2.resize(image, (40, 40), interpolation=cv2.INTER_AREA),
    larger=lambda image: cv2.resize(image, (150, 150), interpolation=cv2.INTER_CUBIC),
    mirrored=lambda image: image[:, ::-1].copy(),
    all=lambda image: recompressed(brighter(cv2.resize(image[:, ::-1], (100, 100)))),
)


@pytest.mark.parametrize('change', CHANGES)
def test_changed_copies_are_near_and_not_exact(change):
    images = photos(300)
    copies = [CHANGES[change](image) for image in images[::3]]
    found = duplicates_of(images + copies)
    group = np.arange(400)
    group[300:] = np.arange(0, 300, 3)
    assert (found.group == group).mean() > 0.995
    # No image joins another group.
    assert (found.group[:300] == np.arange(300)).all()
    assert not found.is_exact_copy.any()


def test_exact_copies_by_pixels_not_by_files():
    images = photos(50)
    png = [
        cv2.imdecode(cv2.imencode(e, i)[1], 1) for i in images for e in ('.png', '.bmp')
    ]
    found = duplicates_of(png)
    assert (found.exact == np.repeat(np.arange(0, 100, 2), 2)).all()
    assert (found.group == found.exact).all()


def test_hash_depends_on_shape_and_pixels():
    image = np.zeros((4, 6, 3), np.uint8)
    other = image.copy()
    other[3, 5, 2] = 1
    hashes = {bytes(pixel_hash(i)) for i in (image, image.reshape(6, 4, 3), other)}
    assert len(hashes) == 3
    assert bytes(pixel_hash(other[:, ::-1])) == bytes(pixel_hash(other[:, ::-1].copy()))


def test_different_images_are_none():
    found = duplicates_of(photos(2000, seed=1, side=32))
    assert not found.is_copy.any()


def test_many_copies_of_one_image_are_one_group():
    image = photos(1)[0]
    rng = np.random.default_rng(0)
    noisy = [
        (image + rng.normal(0, 3, image.shape)).clip(0, 255).astype(np.uint8)
        for _ in range(200)
    ]
    images = photos(100, seed=5) + noisy + [image] * 100
    found = duplicates_of(images)
    assert (found.group[100:] == 100).all()
    assert (found.group[:100] == np.arange(100)).all()


def test_flat_and_unreadable_images_are_no_near_duplicates():
    flat = [np.full((20, 20, 3), grey, np.uint8) for grey in (0, 10, 250, 10)]
    images = photos(5) + flat
    valid = np.ones(9, bool)
    assert duplicates_of(images, valid).group.tolist() == [*range(8), 6]
    # Rows of unreadable images are 0, all of them equal.
    thumbnails = np.zeros((3, SIDE, SIDE), np.uint8)
    hashes = np.zeros((3, 16), np.uint8)
    for valid in (np.zeros(3, bool), np.array([True, False, False])):
        found = find_duplicates(thumbnails, hashes, valid)
        assert found.group.tolist() == [0, 1, 2]
    assert near_pairs(thumbnails[:0]).shape == (0, 2)


def test_symmetric_image_is_no_duplicate_of_itself():
    half = photos(30, side=64)
    images = [np.concatenate([i[:, :32], i[:, 31::-1]], axis=1) for i in half]
    assert not duplicates_of(images).is_copy.any()


def test_conflicts():
    images = photos(4)
    images += [images[0].copy(), brighter(images[1]), images[2].copy()]
    found = duplicates_of(images)
    labels = np.array([0, 1, 2, 3, 0, 5, 6])
    assert found.conflicts(labels).tolist() == [1, 2]
    assert found.conflicts(labels, exact=True).tolist() == [2]


def test_time_grows_less_than_with_pairs():
    """The number of compared pairs, not the clock."""
    from mmfer.scan import duplicates

    counts = []
    for count in (1000, 8000):
        rng = np.random.default_rng(0)
        small = rng.integers(0, 256, (count, 6, 6), np.uint8)
        thumbnails = np.stack([cv2.resize(i, (SIDE, SIDE)) for i in small])
        tested = 0

        def counted(levels, codes, order, original=duplicates._neighbours):
            nonlocal tested
            _, sizes = np.unique(codes, return_counts=True)
            most = duplicates.NEIGHBOURS
            tested += int(np.minimum(sizes * (sizes - 1) // 2, sizes * most).sum())
            return original(levels, codes, order)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(duplicates, '_neighbours', counted)
            near_pairs(thumbnails)
        counts.append(tested)
    # Eight times the images have 64 times the pairs.
    assert counts[1] < 12 * counts[0]


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 30), st.data())
def test_connected_equals_a_search(count, data):
    item = st.integers(0, count - 1)
    pairs = data.draw(st.lists(st.tuples(item, item), max_size=40))
    near = {i: {i} for i in range(count)}
    for one, other in pairs:
        near[one].add(other)
        near[other].add(one)
    expected = []
    for start in range(count):
        reached, waiting = set(), [start]
        while waiting:
            place = waiting.pop()
            if place not in reached:
                reached.add(place)
                waiting += near[place]
        expected.append(min(reached))
    array = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    assert connected(count, array).tolist() == expected


@pytest.mark.slow
@pytest.mark.skipif(not FERPLUS.is_dir(), reason='FERPlus is not here')
def test_figures_of_the_page_on_ferplus():
    """docs/tasks/scan.md: of 1,000 copies in each way, more than 99 % are found."""
    paths = sorted(FERPLUS.glob('*.png'))
    images = [cv2.imread(str(path)) for path in paths]
    found = Thumbnails()(images)
    before = find_duplicates(found['thumbnail'], found['pixel_hash']).group
    alone = np.flatnonzero(np.bincount(before, minlength=len(images))[before] == 1)
    rows = np.random.default_rng(0).choice(alone, 1000, replace=False)
    for change in CHANGES.values():
        copies = Thumbnails()([change(images[row]) for row in rows])
        both = {name: np.concatenate([found[name], copies[name]]) for name in found}
        group = find_duplicates(both['thumbnail'], both['pixel_hash']).group
        assert (group[len(images) :] == group[rows]).mean() > 0.99
