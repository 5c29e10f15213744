"""YuNet by OpenCV, with a made network that has its inputs and outputs."""

import cv2
import numpy as np
import pytest

from mmfer import FERInferencer
from mmfer.apis.detectors import choose_detector
from mmfer.apis.faces import Face, squared
from mmfer.apis.yunet import YuNetDetector

pytest.importorskip('onnx')
from made_yunet import write_yunet  # noqa: E402


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    return write_yunet(tmp_path_factory.mktemp('weights') / 'ein Netz ü.onnx')


def photo(*cells, size=(160, 224)):
    """A photo with white squares, the faces of the made network.

    Args:
        *cells (tuple[int, int]): Rows and columns of squares of 32 pixels.
        size (tuple[int, int]): Height and width.
    """
    image = np.zeros((*size, 3), np.uint8)
    for row, column in cells:
        image[32 * row :, 32 * column :][:32, :32] = 255
    return image


def boxes(*cells, scale=1):
    return [tuple(scale * 32 * side for side in (x, y, x + 1, y + 1)) for y, x in cells]


def test_boxes_in_pixels_of_the_photo(weights):
    detector = YuNetDetector(weights)
    image = photo((3, 4), (1, 0))
    found = detector(image)
    assert [face.box for face in found] == boxes((1, 0), (3, 4))
    assert all(face.score == pytest.approx(1, abs=0.01) for face in found)
    assert detector(image[..., 0]) == found
    assert detector(photo()) == []
    # Sides that are no multiple of 32; a large photo is reduced.
    assert [f.box for f in detector(photo((0, 1), size=(50, 70)))] == boxes((0, 1))
    large = cv2.resize(image, None, fx=5, fy=5, interpolation=cv2.INTER_NEAREST)
    small = YuNetDetector(weights, largest=224)
    assert [f.box for f in small(large)] == boxes((1, 0), (3, 4), scale=5)
    assert small(np.zeros((1, 3000, 3), np.uint8)) == []


def test_thresholds_reach_opencv(weights):
    grey = photo((1, 0)) // 255 * np.uint8(253)
    # sigmoid(253 - 254) / sigmoid(1)
    assert YuNetDetector(weights)(grey) == []
    (face,) = YuNetDetector(weights, score_threshold=0.3)(grey)
    assert face.score == pytest.approx(0.2689 / 0.7311, abs=0.01)


def test_models_that_are_none(weights, tmp_path, capfd):
    (tmp_path / 'text.onnx').write_text('hello')
    write_yunet(tmp_path / 'other.onnx', without=('kps_8', 'obj_32'))
    for name, text in (
        ('none.onnx', 'there is no such file'),
        ('text.onnx', 'cannot use this file as a YuNet model'),
        ('other.onnx', 'cannot use this file as a YuNet model'),
    ):
        with pytest.raises(ValueError, match=f'{name}: .*{text}'):
            FERInferencer('alum_tiny_ferplus', detector=str(tmp_path / name))
    with pytest.raises(ValueError, match=r'score_threshold must lie in \[0, 1\]'):
        YuNetDetector(weights, score_threshold=2)
    with pytest.raises(ValueError, match='largest must be a whole number'):
        YuNetDetector(weights, largest=0)


def test_old_opencv(weights, monkeypatch):
    monkeypatch.delattr(cv2, 'FaceDetectorYN')
    with pytest.raises(ImportError, match='pip install --upgrade opencv-python'):
        YuNetDetector(weights)


def test_ways_to_choose_a_detector(weights):
    image = photo((2, 2))
    for given in (
        weights,
        str(weights),
        dict(type='yunet', model=weights),
        dict(type='yunet', model=str(weights), largest=320),
        lambda image: [Face((64, 64, 96, 96), 1.0)],
    ):
        (face,) = choose_detector(given)(image)
        assert face.box == (64, 64, 96, 96)
    for given, error, text in (
        (7, TypeError, 'detector must be'),
        (dict(model='x'), ValueError, r"detector\['type'\] must be 'dlib' or 'yunet'"),
        (dict(type='mtcnn'), ValueError, "got 'mtcnn'"),
        (dict(type='yunet', model=str(weights), size=3), TypeError, 'size'),
        ('mtcnn', ValueError, 'mtcnn: there is no such file'),
    ):
        with pytest.raises(error, match=text):
            choose_detector(given)


def test_square_around_a_box():
    assert squared((10, 20, 40, 70)) == (0, 20, 50, 70)
    assert squared((10, 20, 60, 40)) == (10, 5, 60, 55)
    assert squared((0, 0, 30, 31)) == (0, 0, 30, 31)


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    """Photos with none to six faces, and a broken file."""
    folder = tmp_path_factory.mktemp('photos')
    rng = np.random.default_rng(0)
    for i in range(23):
        cells = {(int(y), int(x)) for y, x in rng.integers(0, 5, (i % 7, 2))}
        image = photo(*cells)
        # What is around a face differs, so its crop does, too.
        noise = rng.integers(0, 200, image.shape, np.uint8)
        image = np.where(image == 255, image, noise)
        cv2.imwrite(str(folder / f'{i:02d}.png'), image)
    (folder / '11.png').write_bytes(b'')
    return folder


@pytest.mark.parametrize('batch_size', [1, 4, 128])
def test_batches_of_photos_are_as_one_by_one(work_dir, weights, photos, batch_size):
    """Threads look for faces, and a batch has the faces of several photos."""
    threads, alone = (
        FERInferencer(work_dir, device='cpu', workers=n, detector=weights)
        for n in (3, 0)
    )
    found = threads(photos, batch_size=batch_size, detect_faces=True)
    paths = sorted(photos.iterdir())
    assert len(found) == len(paths)
    for path, faces in zip(paths, found, strict=True):
        (expected,) = alone(path, detect_faces=True, on_error='report')
        assert len(faces) == len(expected)
        for one, other in zip(faces, expected, strict=True):
            assert one['source'] == other['source']
            assert one['source']['path'] == str(path)
            if path.name == '11.png':
                assert one == other and 'is empty' in one['error']
                continue
            assert one['pred_scores'] == pytest.approx(other['pred_scores'], abs=1e-5)
    counts = [len(faces) for faces in found]
    assert min(counts) == 0 and max(counts) >= 5


def test_a_batch_has_no_more_faces_than_photos(work_dir, weights, monkeypatch):
    """Memory does not grow with the number of faces in a photo."""
    fer = FERInferencer(work_dir, device='cpu', detector=weights)
    sizes, predict = [], fer.predictor.predict

    def noting(batch):
        sizes.append(len(batch['inputs']))
        return predict(batch)

    monkeypatch.setattr(fer.predictor, 'predict', noting)
    crowd = photo(*((y, x) for y in range(5) for x in range(7)))
    found = fer([crowd] * 2, batch_size=8, detect_faces=True)
    assert [len(faces) for faces in found] == [35, 35]
    assert max(sizes) == 8 and sum(sizes) == 70


def test_own_detectors_stay_in_the_calling_thread(work_dir, photos):
    import threading

    names = set()

    def detect(image):
        names.add(threading.current_thread().name)
        return [Face((0, 0, 32, 32), 1.0)]

    fer = FERInferencer(work_dir, device='cpu', workers=3, detector=detect)
    assert len(fer(photos, detect_faces=True)) == 23
    assert names == {threading.main_thread().name}
