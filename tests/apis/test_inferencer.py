"""Three lines of Python return the predictions of a model for any image."""

import io
import itertools
import json

import cv2
import numpy as np
import pytest
import torch
from helpers import CONFIGS
from mmengine.config import Config
from mmengine.dataset import Compose, default_collate
from PIL import Image

import mmfer
from mmfer import FERInferencer
from mmfer.apis.faces import Face
from mmfer.apis.images import Frame
from mmfer.registry import DATASETS, MODELS


def scores(result):
    """Scores of a result in the order of the labels."""
    return list(result['pred_scores'].values())


def same(one, other):
    for a, b in zip(one, other, strict=True):
        assert a['pred_scores'] == pytest.approx(b['pred_scores'], abs=1e-5)
        assert a['uncertainty'] == pytest.approx(b['uncertainty'], rel=1e-4)
        assert a['pred_label'] == b['pred_label']


def test_what_a_test_run_says(fer, faces):
    """Results equal those of the model on samples of the data set."""
    dataset = DATASETS.build(fer.config.test_dataloader.dataset)
    with torch.no_grad():
        expected = fer.model.test_step(default_collate([dataset[i] for i in range(10)]))
    found = fer(faces)
    for result, sample in zip(found, expected, strict=True):
        np.testing.assert_allclose(scores(result), sample.pred_score, atol=1e-5)
        assert result['uncertainty'] == pytest.approx(
            float(sample.uncertainty), rel=1e-4
        )
        label = int(sample.pred_label)
        assert result['pred_label'] == label
        assert result['pred_class'] == dataset.metainfo['classes'][label]
        assert result['pred_score'] == max(scores(result))
        assert result['pred_scores'][result['pred_class']] == result['pred_score']
        assert list(result['pred_scores']) == list(dataset.metainfo['classes'])
    samples = fer(faces, return_datasamples=True)
    assert [int(s.pred_label) for s in samples] == [r['pred_label'] for r in found]


def test_files_of_any_size_as_in_a_test_run(fer, faces, tmp_path):
    """Only the pipeline of the config resizes files."""
    prepared = []
    pipeline = Compose(fer.config.test_dataloader.dataset.pipeline)
    sizes = [(36, 36), (224, 224), (80, 97), (300, 64), (30, 20)]
    for i, (height, width) in enumerate(sizes):
        path = str(tmp_path / f'{i}.png')
        face = cv2.cvtColor(faces[i], cv2.COLOR_GRAY2BGR)
        cv2.imwrite(path, cv2.resize(face, (width, height)))
        prepared.append(pipeline(dict(img_path=path, sample_id=i, gt_label=0)))
    with torch.no_grad():
        expected = fer.model.test_step(default_collate(prepared))
    for result, sample in zip(fer(tmp_path), expected, strict=True):
        np.testing.assert_allclose(scores(result), sample.pred_score, atol=1e-5)


def test_neither_batch_size_nor_order_matters(fer, faces):
    expected = fer(faces)
    same(fer(faces, batch_size=1), expected)
    same(fer(faces, batch_size=3), expected)
    same(fer(faces[::-1])[::-1], expected)


def test_kinds_of_inputs(fer, faces, tmp_path):
    for i, face in enumerate(faces):
        cv2.imwrite(str(tmp_path / f'{i}.png'), face)
    expected = fer(faces)
    same(fer(tmp_path), expected)
    same(fer(str(tmp_path)), expected)
    same(fer(np.stack(faces)), expected)
    same(fer([Image.fromarray(face) for face in faces]), expected)
    same(fer(face for face in faces), expected)
    same(fer(str(tmp_path / '3.png')), expected[3:4])
    same(fer(faces[3]), expected[3:4])
    same(fer(np.repeat(faces[3][..., None], 3, axis=2)), expected[3:4])
    # An enlarged copy, reduced again, gives the same.
    large = cv2.resize(faces[3], None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    same(fer(large), expected[3:4])


def test_frames_come_one_by_one(fer, faces):
    taken = []

    def video():
        for number in itertools.count():
            taken.append(number)
            yield faces[number % len(faces)]

    stream = fer.stream(video())
    first = [next(stream), next(stream)]
    assert taken == [0, 1]
    same(first, fer(faces[:2]))


def test_broken_images(fer, faces, tmp_path):
    (tmp_path / 'broken.png').write_bytes(b'')
    inputs = [faces[0], tmp_path / 'broken.png', faces[1]]
    with pytest.raises(OSError, match='broken.png.* is empty'):
        fer(inputs, on_error='raise')
    found = fer(inputs, on_error='report')
    same([found[0], found[2]], fer(faces[:2]))
    assert set(found[1]) == {'source', 'error'} and 'broken.png' in found[1]['error']
    assert [result['source'] for result in found] == [
        dict(index=0),
        dict(path=str(tmp_path / 'broken.png')),
        dict(index=2),
    ]
    assert fer([tmp_path / 'broken.png'], on_error='report') == [found[1]]
    with pytest.raises(ValueError, match="'raise', 'report' or None"):
        fer(faces, on_error='ignore')


def test_one_broken_file_does_not_stop_the_others(fer, faces, tmp_path, monkeypatch):
    """Unless it is the only one."""
    folder = tmp_path / 'für alle'
    folder.mkdir()
    for i in range(3):
        cv2.imwrite(str(tmp_path / 'x.png'), faces[i])
        (tmp_path / 'x.png').rename(folder / f'{i} ä.png')
    broken = folder / '1 ä.png'
    broken.write_bytes(b'no image')
    said = []
    monkeypatch.setattr(
        'mmfer.apis.reading.print_log', lambda text, *_, level: said.append(text)
    )
    paths = sorted(folder.iterdir())
    for inputs in (folder, paths, (path for path in paths)):
        found = fer(inputs)
        assert [r['source'] for r in found] == [dict(path=str(p)) for p in paths]
        assert ['error' in r for r in found] == [False, True, False]
        assert '1 of 3 images' in said[-1] and '1 ä.png' in said[-1]
    assert len(said) == 3
    same([found[0], found[2]], fer([paths[0], paths[2]]))
    # Frames of which one is no image.
    assert 'error' in list(fer.stream([faces[0], None]))[1] and len(said) == 4
    fer(folder, on_error='report')
    assert len(said) == 4
    for one in (broken, str(broken), broken.read_bytes(), np.zeros((3, 0), np.uint8)):
        with pytest.raises((OSError, ValueError)):
            fer(one)
        with pytest.raises((OSError, ValueError)):
            list(fer.stream(one))
    with pytest.raises(OSError, match='1 ä.png'):
        fer(folder, on_error='raise')


def test_results_are_plain_types(fer, faces, tmp_path, monkeypatch):
    """What json writes is what it reads again."""
    monkeypatch.setattr(fer, 'detector', Detector(Face((3, 2, 33, 32), 1.5)))
    path = tmp_path / 'a b.png'
    cv2.imwrite(str(path), faces[0])
    inputs = [
        path,
        str(path),
        path.read_bytes(),
        io.BytesIO(path.read_bytes()),
        open(path, 'rb'),
        Image.open(path),
        faces[0],
        Frame(faces[0], np.int64(7).item(), 1.4, 'film.mp4'),
        tmp_path / 'none.png',
    ]
    named = [0, 1, 4, 5]
    for detect in (False, True):
        found = fer(inputs, reject_above=0.5, detect_faces=detect)
        assert json.loads(json.dumps(found)) == found
        flat = [result[0] if detect else result for result in found]
        assert [flat[i]['source'].get('path') for i in named] == [str(path)] * 4
        assert [flat[i]['source'].get('index') for i in (2, 3, 6)] == [2, 3, 6]
        where = dict(path='film.mp4', frame=7, time=1.4)
        box = dict(box=[3, 2, 33, 32]) if detect else {}
        assert flat[7]['source'] == dict(where, **box)
        assert list(flat[8]) == ['source', 'error']
        assert type(flat[0]['rejected']) is bool
    inputs[4].close()


def test_rejection(fer, faces):
    values = sorted(r['uncertainty'] for r in fer(faces))
    found = fer(faces, reject_above=values[6])
    assert sum(r['rejected'] for r in found) == 3
    assert all(r['rejected'] == (r['uncertainty'] > values[6]) for r in found)
    assert 'rejected' not in fer(faces)[0]


def test_pictures(fer, faces, tmp_path):
    cv2.imwrite(str(tmp_path / 'me.png'), faces[0])
    fer([tmp_path / 'me.png', faces[1]], show_dir=str(tmp_path / 'out'))
    names = sorted(p.name for p in (tmp_path / 'out').iterdir())
    assert names == ['00000_me.png', '00001_image.png']
    picture = cv2.imread(str(tmp_path / 'out/00000_me.png'))
    # The image is enlarged, and words are below it.
    assert picture.shape[1] >= 320 and picture.shape[0] > picture.shape[1]
    below = picture[picture.shape[1] :]
    assert (below == 255).mean() > 0.5 and (below < 100).any()


def test_valence_and_arousal():
    cfg = Config.fromfile(f'{CONFIGS}/ce/ce_vgg16_synthfaces.py')
    cfg.model.backbone.base_channels = 4
    fer = FERInferencer(cfg, pretrained=False, device='cpu')
    (result,) = fer(np.zeros((32, 32), np.uint8))
    assert {'valence', 'arousal', 'pred_class'} <= set(result)


def test_valence_and_arousal_alone(tmp_path):
    cfg = Config.fromfile(f'{CONFIGS}/ce/ce_vgg16_synthfaces.py')
    cfg.model.backbone.base_channels = 4
    cfg.model.head.label_sets = ['va']
    fer = FERInferencer(cfg, pretrained=False, device='cpu')
    face = np.zeros((32, 32), np.uint8)
    (result,) = fer(face, show_dir=str(tmp_path))
    (sample,) = fer(face, return_datasamples=True)
    assert list(result) == ['source', 'valence', 'arousal']
    assert list(result.values())[1:] == pytest.approx(sample.pred_va.tolist())
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(ValueError, match='valence and arousal only'):
        fer(face, reject_above=0.5)


class Detector:
    """A detector that returns given faces."""

    def __init__(self, *faces):
        self.faces = list(faces)

    def __call__(self, image):
        return self.faces


def test_faces_of_a_photo(fer, faces, monkeypatch, tmp_path):
    photo = np.zeros((100, 200), np.uint8)
    side = faces[0].shape[0]
    photo[20 : 20 + side, 10 : 10 + side] = faces[0]
    photo[30 : 30 + side, 120 : 120 + side] = faces[1]
    boxes = [[10, 20, 10 + side, 20 + side], [120, 30, 120 + side, 30 + side]]
    monkeypatch.setattr(fer, 'detector', Detector(*(Face(b, 1.5) for b in boxes)))
    found = fer([photo], detect_faces=True, margin=0)[0]
    same(found, fer(faces[:2]))
    assert [r['source']['box'] for r in found] == boxes
    assert found[0]['face_score'] == 1.5
    wider = fer([photo], detect_faces=True, margin=0.2)[0]
    assert [r['source']['box'] for r in wider] == boxes
    assert not np.allclose(scores(wider[0]), scores(found[0]))
    fer([photo], detect_faces=True, show_dir=str(tmp_path))
    assert len(list(tmp_path.iterdir())) == 1


def test_no_face(fer, monkeypatch):
    monkeypatch.setattr(fer, 'detector', Detector())
    photo = np.zeros((50, 50), np.uint8)
    assert fer(photo, detect_faces=True) == [[]]
    assert fer([photo] * 3, detect_faces=True) == [[], [], []]
    # A webcam goes on.
    frames = (photo for _ in range(4))
    assert list(fer.stream(frames, detect_faces=True)) == [[]] * 4


def test_paths_of_pathlib(work_dir, fer, faces, tmp_path):
    same(FERInferencer(work_dir)(faces), fer(faces))
    (config,) = work_dir.glob('*.py')
    *_, checkpoint = sorted(work_dir.glob('*.pth'))
    same(FERInferencer(config, checkpoint)(faces), fer(faces))
    with pytest.raises(ValueError, match='mine.pth: there is no such'):
        FERInferencer(work_dir, tmp_path / 'mine.pth')
    with pytest.raises(TypeError, match='pretrained must be'):
        FERInferencer(work_dir, 1)


def test_bad_arguments(fer, faces, tmp_path):
    for batch_size in (0, -1, 2.5, True, '4', None):
        with pytest.raises(ValueError, match='batch_size must be'):
            fer(faces, batch_size=batch_size)
        # The error comes with the call, not with the first image.
        with pytest.raises(ValueError, match='batch_size must be'):
            fer.stream(faces, batch_size=batch_size)
    same(fer(faces, batch_size=np.int64(3)), fer(faces))
    with pytest.raises(ValueError, match='leave out return_datasamples'):
        fer(faces, show_dir=str(tmp_path / 'x'), return_datasamples=True)
    with pytest.raises(ValueError, match='leave out return_datasamples'):
        fer(faces, reject_above=0.5, return_datasamples=True)
    with pytest.raises(ValueError, match="'raise', 'report' or None"):
        fer.stream(faces, on_error='ignore')
    for margin in ('5%', -0.5, float('nan'), float('inf')):
        with pytest.raises(ValueError, match='margin must be a share'):
            fer(faces, margin=margin)
    assert not (tmp_path / 'x').exists()
    (tmp_path / 'file').write_text('')
    with pytest.raises(ValueError, match=r"file' cannot be a folder \(File"):
        fer(iter(()), show_dir=tmp_path / 'file')


def test_thresholds_lie_where_uncertainties_do(fer, faces):
    """Learned uncertainties may be larger than 1."""
    assert not fer.bounded and FERInferencer('alum_tiny_ferplus').bounded
    for value in (0, -1.0, float('nan'), float('inf'), True, '0.5'):
        with pytest.raises(ValueError, match='must lie in .0, inf., got'):
            fer(faces, reject_above=value)
    assert not any(r['rejected'] for r in fer(faces, reject_above=1e6))
    fer = FERInferencer('ce_r18_synthfaces', False, image_size=48)
    for value in (1, 1.5, 90):
        with pytest.raises(ValueError, match=r'must lie in \(0, 1\), got'):
            fer.stream(faces, reject_above=value)


def test_names_of_classes(work_dir, faces, tmp_path):
    names = [f'class {i}' for i in range(7)]
    path = tmp_path / 'classes.txt'
    path.write_bytes('\r\n'.join(names).encode('utf-8-sig'))
    for classes in (names, tuple(names), np.array(names), path, str(path)):
        fer = FERInferencer(work_dir, classes=classes)
        result = fer(faces[0])[0]
        assert result['pred_class'] == names[result['pred_label']]
    for classes in (['a', 'b'], names + ['more']):
        with pytest.raises(
            ValueError,
            match=(f'^{len(classes)} names of classes .* model of 7 classes'),
        ):
            FERInferencer(work_dir, classes=classes)
    path.write_text('a\nb\n')
    with pytest.raises(ValueError, match='^2 names .* model of 7 classes'):
        FERInferencer(work_dir, classes=path)
    with pytest.raises(ValueError, match='no such file of class names'):
        FERInferencer(work_dir, classes='neutral')
    with pytest.raises(ValueError, match='already in name 1'):
        FERInferencer(work_dir, classes=['a', 'a'])
    for classes in (7, dict(a=1), set(names)):
        with pytest.raises(TypeError, match='classes must be a list'):
            FERInferencer(work_dir, classes=classes)


def test_names_of_a_checkpoint_are_counted_too(work_dir, tmp_path):
    *_, checkpoint = sorted(work_dir.glob('*.pth'))
    content = torch.load(checkpoint, weights_only=True)
    content['meta']['dataset_meta'] = dict(classes=['a', 'b', 'c'])
    path = tmp_path / 'three.pth'
    torch.save(content, path)
    with pytest.raises(ValueError, match='^3 names .* model of 7 classes'):
        FERInferencer(work_dir, path)
    FERInferencer(work_dir, path, classes=list('abcdefg'))


@pytest.mark.parametrize('device', ['gpu', 'cuda:99', 'meta'])
def test_devices_that_cannot_be_used(device):
    with pytest.raises(ValueError, match=f'device {device!r} cannot be used'):
        FERInferencer('alum_tiny_ferplus', device=device)
    with pytest.raises(ValueError, match=f'device {device!r} cannot be used'):
        mmfer.get_model('alum_tiny_ferplus', device=device)


def test_the_best_device_is_the_default(monkeypatch):
    monkeypatch.setattr('mmfer.utils.devices.get_device', lambda: 'meta')
    with pytest.raises(ValueError, match='predicts nothing'):
        FERInferencer('alum_tiny_ferplus')


def test_models_that_are_none(work_dir, tmp_path):
    *_, checkpoint = sorted(work_dir.glob('*.pth'))
    for model, error, match in (
        (7, TypeError, 'model must be a name, .* got int'),
        (dict(type='FERClassifier'), TypeError, 'got dict'),
        (str(checkpoint), ValueError, 'is a checkpoint; .* pretrained='),
        ('work_dirs/none', ValueError, 'no such folder'),
        ('configs/none.py', ValueError, 'no such config'),
        (str(tmp_path / 'none.pth'), ValueError, 'is a checkpoint'),
    ):
        with pytest.raises(error, match=match):
            FERInferencer(model)
    for pretrained, match in (
        ('', 'names no checkpoint'),
        (tmp_path, 'is a folder; name a checkpoint'),
    ):
        with pytest.raises(ValueError, match=match):
            FERInferencer('alum_tiny_ferplus', pretrained)
    bare = MODELS.build(
        dict(
            type='FERClassifier',
            backbone=dict(type='ResNetSmallStem', depth=18),
            neck=dict(type='FeaturePooling'),
            head=dict(type='CEHead', num_classes=7),
        )
    )
    with pytest.raises(ValueError, match='does not know its config'):
        FERInferencer(bare)


@pytest.mark.parametrize(
    'name', ['jointgan/jointgan_vgg16_synthfaces', 'resup/resup_r18_synthfaces']
)
def test_configs_of_several_networks(name):
    fer = FERInferencer(f'{CONFIGS}/{name}.py', False, device='cpu')
    assert len(fer(np.zeros((48, 48), np.uint8))[0]['pred_scores']) == 7
    with pytest.raises(ValueError, match='^2 names .* model of 7 classes'):
        FERInferencer(f'{CONFIGS}/{name}.py', False, classes=['a', 'b'])


def test_configs_that_are_no_classifiers(work_dir):
    cfg = Config.fromfile(next(work_dir.glob('*.py')))
    cfg.image_size = 48
    cfg.test_dataloader = None
    with pytest.raises(ValueError, match='test_dataloader = val_dataloader'):
        FERInferencer(cfg, False)
    cfg.test_dataloader = cfg.val_dataloader
    cfg.model = dict(
        type='mmpretrain.MoCoV3',
        base_momentum=0.1,
        backbone=dict(type='ResNet', depth=18),
        neck=dict(
            type='NonLinearNeck',
            in_channels=512,
            hid_channels=4,
            out_channels=4,
            with_avg_pool=True,
        ),
        head=dict(
            type='MoCoV3Head',
            loss=dict(type='CrossEntropyLoss'),
            predictor=dict(
                type='NonLinearNeck', in_channels=4, hid_channels=4, out_channels=4
            ),
        ),
    )
    cfg.data_preprocessor = dict(type='ClsDataPreprocessor')
    with pytest.raises(ValueError, match='MoCoV3 of this config predicts'):
        FERInferencer(cfg, False)


def test_a_classifier_of_mmpretrain():
    """The uncertainty is one minus the confidence."""
    fer = FERInferencer('resnet18_8xb32_in1k', False, device='cpu')
    face = np.random.default_rng(0).integers(0, 256, (80, 80, 3), np.uint8)
    (result,) = fer(face)
    assert result['uncertainty'] == pytest.approx(1 - max(scores(result)), abs=1e-6)


class Walk:
    """A detector of two faces that walk past each other, with jitter."""

    def __init__(self):
        self.calls = 0
        self.rng = np.random.default_rng(0)

    def __call__(self, image):
        i, self.calls = self.calls, self.calls + 1
        found = []
        for x, y in ((10 + 6 * i, 10), (120 - 6 * i, 40)):
            x, y = (int(v) for v in (x, y) + self.rng.integers(-2, 3, 2))
            found.append(Face((x, y, x + 36, y + 36), 1.0))
        return sorted(found, key=lambda face: face.box)


def frames_of(number, rate=5.0):
    rng = np.random.default_rng(1)
    for i in range(number):
        image = rng.integers(0, 256, (100, 200), np.uint8)
        yield Frame(image, i, i / rate, 'film.mp4')


def test_faces_are_followed_over_frames(fer, monkeypatch):
    options = dict(detect_faces=True, batch_size=4)
    monkeypatch.setattr(fer, 'detector', Walk())
    plain = list(fer.stream(frames_of(20), **options))
    monkeypatch.setattr(fer, 'detector', Walk())
    found = list(fer.stream(frames_of(20), track=True, **options))
    assert [len(faces) for faces in found] == [2] * 20
    assert all({face['track'] for face in faces} == {1, 2} for faces in found)
    # The faces change sides, and their boxes move more smoothly.
    assert [f['track'] for f in found[0]] == [1, 2]
    assert [f['track'] for f in found[-1]] == [2, 1]
    path, raw = (
        [
            next(f['source']['box'] for f in faces if f.get('track', 1) == 1)
            for faces in results[:9]
        ]
        for results in (found, plain)
    )
    assert np.diff(path, 2, axis=0).std() < np.diff(raw, 2, axis=0).std()
    # The box that is reported is the one that is classified.
    first = next(frames_of(1)).image
    monkeypatch.setattr(
        fer, 'detector', Detector(Face(tuple(found[0][0]['source']['box']), 1.0))
    )
    ((expected,),) = fer(first, detect_faces=True)
    assert found[0][0]['pred_scores'] == pytest.approx(
        expected['pred_scores'], abs=1e-5
    )
    assert json.loads(json.dumps(found)) == found


def test_expressions_are_averaged_over_a_track(fer, monkeypatch):
    options = dict(detect_faces=True, track=True)
    results = []
    for smooth in (None, 0.5):
        monkeypatch.setattr(fer, 'detector', Walk())
        stream = fer.stream(frames_of(20), smooth=smooth, batch_size=3, **options)
        results.append([face for faces in stream for face in faces])
    plain, found = results
    for i, result in enumerate(found):
        same_track = [r for r in plain[: i + 1] if r['track'] == result['track']]
        time = result['source']['time']
        weights = [np.exp((r['source']['time'] - time) / 0.5) for r in same_track]
        expected = np.average([scores(r) for r in same_track], axis=0, weights=weights)
        np.testing.assert_allclose(scores(result), expected, atol=1e-6)
        assert result['uncertainty'] == pytest.approx(
            np.average([r['uncertainty'] for r in same_track], weights=weights),
            rel=1e-4,
        )
        assert result['pred_label'] == int(np.argmax(expected))
        assert result['pred_score'] == pytest.approx(expected.max())
        assert result['pred_class'] == fer.classes[result['pred_label']]


def test_a_mean_of_confidences_is_the_confidence_of_the_mean(monkeypatch):
    """The uncertainty stays one minus the largest score, if the model has it so."""
    fer = FERInferencer('alum_tiny_ferplus', device='cpu', detector=Walk())
    for faces in fer.stream(frames_of(6), detect_faces=True, track=True, smooth=1.0):
        for face in faces:
            assert face['uncertainty'] == pytest.approx(1 - face['pred_score'])
            assert list(face['pred_scores']) == list(fer.classes)


def test_options_of_tracks(fer, faces):
    for options, text in (
        (dict(track=True), 'add detect_faces=True'),
        (dict(detect_faces=True, smooth=1.0), 'add track=True'),
        (dict(detect_faces=True, track=True, smooth=0), 'smooth must'),
        (
            dict(detect_faces=True, track=True, smooth=1.0, reject_above=0.5),
            'do not hold for means',
        ),
    ):
        with pytest.raises(ValueError, match=text):
            fer.stream(faces, **options)
