"""Pictures of the review page: as large as the budget allows."""

import base64
import weakref

import cv2
import numpy as np
import pytest

from mmfer.analysis.review import thumbnails


def some_images(count=50, shape=(150, 110, 3)):
    return [
        np.random.default_rng(i).integers(0, 256, shape, np.uint8) for i in range(count)
    ]


def decode(text):
    return cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), -1)


@pytest.mark.parametrize('enough', [8, 200])
def test_thumbnails_fit(monkeypatch, enough):
    monkeypatch.setattr(thumbnails, 'NUM_ESTIMATED', enough)
    images = some_images()
    images[7] = None
    sides = []
    for budget in (1_500_000, 200_000, 100_000):
        found, large = thumbnails.encode_images(iter(images), 50, budget)
        taken = sum(map(len, found)) + sum(len(text) + 3 for text in large)
        assert taken <= budget
        assert budget / 3 < sum(map(len, found)) <= budget
        assert [i for i, text in enumerate(found) if not text] == [7]
        largest = {max(decode(text).shape) for text in found if text}
        assert len(largest) == 1
        sides += largest
    assert sides == sorted(set(sides), reverse=True) and sides[0] == 128
    with pytest.raises(ValueError, match='of 50 images .* --max-images'):
        thumbnails.encode_images(iter(images), 50, 20_000)


def test_small_images_are_encoded_once():
    """To shrink the others must not cost those that are small anyway."""
    small, large = some_images(10, (30, 30, 3)), some_images(10)
    images = [image for pair in zip(small, large) for image in pair]
    found = thumbnails.encode_images(iter(images), 20, 45_000).thumbnails
    assert max(decode(found[1]).shape) < 96
    for image, text in zip(small, found[::2]):
        assert base64.b64decode(text) == thumbnails.thumbnail(image, 96)


def test_images_are_not_kept():
    alive = []

    def read():
        for _ in range(30):
            image = np.zeros((64, 64, 3), np.uint8)
            alive.append(weakref.ref(image))
            yield image
            del image
            assert sum(x() is not None for x in alive) <= 1

    assert len(thumbnails.encode_images(read(), 30, 10**6).thumbnails) == 30


def test_larger_versions(monkeypatch):
    """They are of the first images, none larger than needed, within both limits."""
    images = some_images(40, (700, 500, 3))
    images[1] = None
    images[2] = images[2][:100, :100]
    monkeypatch.setattr(thumbnails, 'LARGE_BYTES', 2_500_000)
    ends = []
    for budget in (3_500_000, 1_500_000, 480_000):
        steps = []
        found = thumbnails.encode_images(
            iter(images), 40, budget, lambda *step, steps=steps: steps.append(step)
        )
        assert steps == [(n, 40) for n in range(41)] and len(found.thumbnails) == 40
        large = sum(len(text) + 3 for text in found.large)
        assert large <= 2_500_000
        assert sum(map(len, found.thumbnails)) + large <= budget
        assert not found.large or found.large[-1]
        for n, text in enumerate(found.large):
            assert bool(text) == (n not in (1, 2)), n
            if text:
                assert max(decode(text).shape) == 512
        ends.append(len(found.large))
    assert ends[0] > ends[1] >= ends[2] >= 0 and ends[1] > 3


def test_a_line_is_an_image():
    for shape in ((1, 4000), (4000, 1, 3)):
        text = thumbnails.thumbnail(np.zeros(shape, np.uint8), 32)
        assert max(decode(base64.b64encode(text)).shape) == 32
