"""Images that are no face-like crop."""

import cv2
import numpy as np
import pytest
from made_face_folders import draw_faces

from mmfer.scan import faces
from mmfer.scan.encoders import HOGEncoder
from mmfer.scan.faces import FaceCheck, unlike_others, without_face


def objects(count: int, seed: int = 0):
    """Text, noise, rectangles, discs and gradients, BGR."""
    rng = np.random.default_rng(seed)
    made = []
    for row in range(count):
        image = np.full((48, 48), int(rng.integers(256)), np.uint8)
        grey, kind = int(rng.integers(256)), row % 5
        if kind == 0:
            cv2.putText(image, f'AB{row}', (2, 30), 0, 0.7, grey, 2)
        elif kind == 1:
            image = rng.integers(0, 256, (48, 48), np.uint8)
        elif kind == 2:
            image[10:30, 5:40] = grey
        elif kind == 3:
            cv2.circle(image, (24, 24), 15, grey, -1)
        else:
            image = np.tile(np.linspace(0, 255, 48).astype(np.uint8), (48, 1))
        made.append(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR))
    return made


def test_detector_finds_no_face_in_objects():
    pytest.importorskip('dlib')
    check = FaceCheck()
    scores = check(objects(50))['face_score']
    assert scores.dtype == np.float32 and scores.shape == (50,)
    found = without_face(scores, np.ones(50, bool))
    assert found.mean() > 0.85
    # An unreadable image is no finding.
    assert not without_face(scores, np.zeros(50, bool)).any()
    assert check.outputs['face_score'] == ((), 'float32') and 'dlib' in check.version


def test_detector_takes_images_of_any_size_and_grey_level():
    pytest.importorskip('dlib')
    check = FaceCheck()
    for shape in ((1, 1, 3), (3, 900, 3), (700, 2, 3), (2000, 1500, 3)):
        for grey in (0, 255):
            assert check.score(np.full(shape, grey, np.uint8)) >= faces.LOWEST


def test_detector_does_not_change_the_image():
    pytest.importorskip('dlib')
    image = objects(1)[0]
    before = image.copy()
    FaceCheck().score(image)
    assert (image == before).all()


def test_missing_detector_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'dlib', None)
    with pytest.raises(ImportError, match=r'pip install "mmfer\[face\]"'):
        FaceCheck()


def test_far_features_are_unlike_others():
    images, _ = draw_faces(400)
    crops = [cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) for image in images]
    hog = HOGEncoder()([*crops, *objects(10)])['hog']
    valid = np.ones(410, bool)
    found = unlike_others(hog, valid)
    assert found[400:].sum() >= 4
    assert found[:400].mean() < 0.03
    valid[400:] = False
    assert not unlike_others(hog, valid)[400:].any()


def test_few_or_equal_features_are_not_unlike():
    for features in (np.zeros((0, 3)), np.ones((2, 3)), np.ones((9, 3))):
        valid = np.ones(len(features), bool)
        assert not unlike_others(features, valid).any()
