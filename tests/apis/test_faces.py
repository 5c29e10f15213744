"""Face detector, and crops around its boxes."""

import numpy as np
import pytest

from mmfer.apis.faces import FaceDetector, crop


def test_detector_without_its_package(fer, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, 'dlib', None)
    with pytest.raises(ImportError, match=r'mmfer\[face\]'):
        fer(np.zeros((50, 50), np.uint8), detect_faces=True)


def test_large_photos_are_looked_at_smaller(monkeypatch):
    """Boxes are in pixels of the photo, not of its reduced copy."""
    import sys
    from types import SimpleNamespace

    seen = []

    class Box:
        def __init__(self, *sides):
            for name, side in zip(('left', 'top', 'right', 'bottom'), sides):
                setattr(self, name, lambda side=side: side)

    class Stub:
        def run(self, image, enlarge):
            seen.append((image.shape, enlarge))
            # Boxes of dlib include their last row and column.
            return [Box(10, 20, 89, 99), Box(0, 5, 79, 84)], [1.5, 0.5], []

    monkeypatch.setitem(
        sys.modules, 'dlib', SimpleNamespace(get_frontal_face_detector=Stub)
    )
    detector = FaceDetector(min_size=40)
    large = detector(np.zeros((3000, 4000, 3), np.uint8))
    assert [f.box for f in large] == [(0, 10, 160, 170), (20, 40, 180, 200)]
    assert [f.score for f in large] == [0.5, 1.5]
    small = detector(np.zeros((300, 400), np.uint8))
    assert [f.box for f in small] == [(0, 5, 80, 85), (10, 20, 90, 100)]
    assert seen == [((1500, 2000, 3), 1), ((300, 400), 1)]


def test_margin_ends_at_the_edge():
    image = np.arange(12).reshape(3, 4)
    np.testing.assert_array_equal(crop(image, (1, 1, 3, 3), 0, 0), image[1:3, 1:3])
    np.testing.assert_array_equal(crop(image, (1, 1, 3, 3), 0, 0.5), image[0:2, 1:3])
    wide = crop(image, (0, 0, 2, 2), 0.5, 0)
    np.testing.assert_array_equal(wide, np.pad(image, 1, 'edge')[:4, :4])
