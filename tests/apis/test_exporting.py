"""Exported files agree with torch, and hostile or foreign ones are refused."""

import json
import os
import shutil

import cv2
import numpy as np
import pytest
import torch
from helpers import tiny_config

from mmfer import FERInferencer
from mmfer.apis.calibrated import measure_held_out
from mmfer.apis.exporting import conversion, export_onnx, writing
from mmfer.apis.exporting.conversion import with_fixed_norms
from mmfer.apis.exporting.metadata import ForeignFileError
from mmfer.apis.exporting.network import ExportedNetwork, ExportError
from mmfer.apis.predictors import TorchPredictor
from mmfer.datasets.images import UnreadableImageError
from mmfer_command.main import main

SWIN = dict(embed_dims=8, depths=[2, 2, 2, 2], num_heads=[2, 2, 2, 2])
BY_TORCH_EXPORT = conversion._by_torch_export
onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')


def randomised(model):
    """Give BatchNorm and biases values that an error in them would show."""
    generator = torch.Generator().manual_seed(0)
    for name, value in model.state_dict().items():
        if value.is_floating_point() and value.ndim == 1:
            low = 0.5 if 'var' in name or 'weight' in name else -0.3
            value.copy_(low + torch.rand(value.shape, generator=generator))
        # Without this, an untrained classifier predicts the same for all images.
        if value.ndim == 2 and len(value) == 7:
            value.mul_(10)
    return model


def predictor_of(cfg, **options):
    torch.manual_seed(0)
    found = TorchPredictor(cfg, False, 'cpu', **options)
    randomised(found.model)
    return found


def alum(folder, **options):
    return tiny_config(folder, **options)


def rul(folder):
    return tiny_config(folder, 'rul/rul_r18_synthfaces_noise30')


def cross_entropy(folder):
    return tiny_config(folder, 'ce/ce_r18_synthfaces_noise30')


def resup(folder):
    return tiny_config(
        folder, 'resup/resup_r18_synthfaces_noise30', model__predict_with='mean'
    )


def swin(folder):
    """Its window_reverse in mmpretrain would fix the size of the batch."""
    cfg = tiny_config(folder)
    cfg.model.backbone = dict(
        type='SwinTransformer', arch=SWIN, img_size=32, window_size=2, patch_size=2
    )
    cfg.model.pop('latent_compensation', None)
    return cfg


def vit(folder):
    """The tokens of a transformer hide the number of channels from a tracer."""
    cfg = tiny_config(folder)
    cfg.model.backbone = dict(
        type='VisionTransformer',
        arch=dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=16),
        img_size=32,
        patch_size=8,
    )
    cfg.model.pop('latent_compensation', None)
    return cfg


def colour(folder):
    """A network of mmpretrain with its own head, for RGB images."""
    cfg = tiny_config(folder, 'ce/ce_r18_synthfaces_noise30')
    cfg.model = dict(
        type='mmpretrain.ImageClassifier',
        backbone=dict(
            type='mmpretrain.ResNet',
            depth=18,
            base_channels=8,
            stem_channels=8,
            num_stages=4,
        ),
        neck=dict(type='mmpretrain.GlobalAveragePooling'),
        head=dict(type='mmpretrain.LinearClsHead', num_classes=7, in_channels=64),
    )
    cfg.data_preprocessor = dict(
        type='FERDataPreprocessor',
        input_shape=(3, 32, 32),
        num_classes=7,
        mean=[120.0, 110.0, 100.0],
        std=[60.0, 50.0, 40.0],
        to_rgb=True,
    )
    cfg.model.data_preprocessor = cfg.data_preprocessor
    for step in cfg.test_dataloader.dataset.pipeline:
        if step.type == 'LoadFERImage':
            step.color_type = 'color'
    return cfg


@pytest.fixture(autouse=True, scope='module')
def quick_exporter():
    """Trace: torch.export takes ten seconds for a network; one test uses it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversion, '_by_torch_export', conversion._by_tracing)
        yield


MODELS = dict(
    alum=alum, rul=rul, ce=cross_entropy, resup=resup, colour=colour, swin=swin, vit=vit
)


@pytest.fixture(scope='module', params=MODELS)
def pair(request, tmp_path_factory):
    """A model of torch, and the file that was exported of it."""
    folder = tmp_path_factory.mktemp(request.param)
    predictor = predictor_of(MODELS[request.param](folder))
    path = str(folder / 'Größe 1.onnx')
    done = export_onnx(predictor, path, 40)
    assert done.difference <= 1e-5 and os.path.getsize(path) == done.bytes
    torch_fer = FERInferencer(predictor.model, False, 'cpu')
    return torch_fer, FERInferencer(path), predictor


def pictures(number=9, seed=0):
    generator = np.random.default_rng(seed)
    return [
        cv2.resize(
            generator.integers(0, 256, (6, 5, 3), np.uint8), (20 + 7 * k, 60 - 3 * k)
        )
        for k in range(number)
    ]


def compare(one, other, images, **options):
    for a, b in zip(one(images, **options), other(images, **options), strict=True):
        assert a['pred_scores'] == pytest.approx(b['pred_scores'], abs=1e-5)
        assert a['uncertainty'] == pytest.approx(b['uncertainty'], rel=1e-4, abs=1e-5)
        assert set(a) == set(b)
        for key in ('pred_class', 'pred_label', 'source'):
            assert a.get(key) == b.get(key)


def test_files_predict_what_torch_predicts(pair):
    """Images of several sizes are read, resized, cropped and normalised alike."""
    torch_fer, onnx_fer, _ = pair
    for size in (1, 4, 128):
        compare(torch_fer, onnx_fer, pictures(), batch_size=size)
    scores = [list(r['pred_scores'].values()) for r in onnx_fer(pictures())]
    # A network that ignores its images would agree, too.
    assert np.ptp(scores, axis=0).max() > 1e-3


def test_normalisation_by_hand(pair):
    """The graph alone, against numpy in float64 and the network of torch."""
    _, onnx_fer, predictor = pair
    preprocessor = predictor.model.data_preprocessor
    channels, height, width = onnx_fer.predictor.metadata.input_shape
    assert (height, width) == (36, 36)
    images = np.random.default_rng(0).integers(0, 256, (5, channels, 36, 36), np.uint8)
    (scores, *_) = onnx_fer.predictor.session.run(None, dict(images=images))
    cropped = images[:, :, 2:34, 2:34].astype(np.float64)
    if channels == 3:
        cropped = cropped[:, ::-1]
    mean, std = (
        np.reshape(x.numpy(), (1, channels, 1, 1)).astype(np.float64)
        for x in (preprocessor.mean, preprocessor.std)
    )
    prepared = torch.from_numpy((cropped - mean) / std).float()
    with torch.no_grad():
        wanted = predictor.model.predict(prepared)
    wanted = np.stack([sample.pred_score.numpy() for sample in wanted])
    assert scores == pytest.approx(wanted, abs=1e-5)


def test_valence_and_arousal(tmp_path):
    cfg = tiny_va(tmp_path)
    predictor = predictor_of(cfg)
    path = str(tmp_path / 'va.onnx')
    done = export_onnx(predictor, path, 20)
    assert done.outputs == ('probabilities', 'uncertainty', 'valence_arousal')
    one = FERInferencer(predictor.model, False, 'cpu')(pictures())
    for a, b in zip(one, FERInferencer(path)(pictures()), strict=True):
        assert a['valence'] == pytest.approx(b['valence'], abs=1e-5)
        assert a['arousal'] == pytest.approx(b['arousal'], abs=1e-5)


def tiny_va(folder):
    """A classifier with the head of the joint-distribution GAN."""
    cfg = tiny_config(folder, 'ce/ce_r18_synthfaces_noise30')
    cfg.model.neck = None
    cfg.model.head = dict(
        type='MultiTaskHead', label_sets=[7, 'va'], hidden_dim=8, dropout=0.0
    )
    return cfg


@pytest.fixture(scope='module')
def calibrated(tmp_path_factory):
    """A calibrated model, and its file."""
    folder = tmp_path_factory.mktemp('calibrated')
    predictor = predictor_of(alum(folder, model__head__uncertainty='confidence'))
    generator = np.random.default_rng(0)
    scores = generator.dirichlet(np.full(7, 0.2), 1200).astype(np.float32)
    right = generator.random(1200) < scores.max(axis=1) ** 0.5
    labels = np.where(right, scores.argmax(axis=1), scores.argmin(axis=1))
    found = measure_held_out(scores, labels, 1 - scores.max(axis=1))
    predictor.model.rejection = found['rejection']
    predictor.model.calibration = found['calibration']
    predictor = TorchPredictor(predictor.model, False, 'cpu')
    assert abs(predictor.calibration.temperature - 1) > 0.1
    path = str(folder / 'calibrated.onnx')
    export_onnx(predictor, path, 20)
    return FERInferencer(predictor.model, False, 'cpu'), FERInferencer(path), path


def test_calibration_is_exported(calibrated):
    one, other, _ = calibrated
    compare(one, other, pictures(), coverage=0.9)
    assert one.rejection_threshold(0.3) == other.rejection_threshold(0.3)
    for result in other(pictures(), coverage=0.9):
        ranked = sorted(result['pred_scores'], key=result['pred_scores'].get)[::-1]
        assert result['pred_set'] == ranked[: len(result['pred_set'])]
    # The more are to be covered, the larger the sets.
    sizes = [
        sum(len(r['pred_set']) for r in other(pictures(), coverage=c))
        for c in (0.5, 0.8, 0.95)
    ]
    assert sizes == sorted(sizes) and sizes[0] < sizes[-1]
    json.dumps(other(pictures(), coverage=0.9))


@pytest.mark.parametrize('coverage', [0, 1, -1, 2, 'all', float('nan'), True])
def test_coverages_are_shares(calibrated, coverage):
    with pytest.raises(ValueError, match='coverage must be a share'):
        calibrated[1](pictures(1), coverage=coverage)


def test_what_coverage_needs(calibrated, pair):
    with pytest.raises(ValueError, match='at least 9999 held-out images.* 900'):
        calibrated[1](pictures(1), coverage=0.9999)
    with pytest.raises(ValueError, match='comes without a calibration'):
        pair[0](pictures(1), coverage=0.9)
    with pytest.raises(ValueError, match='leave out return_datasamples'):
        calibrated[0](pictures(1), coverage=0.9, return_datasamples=True)


def test_arguments_of_a_file(calibrated):
    path = calibrated[2]
    assert FERInferencer(path, image_size=36)(pictures(1))
    for options, words in (
        (dict(pretrained='x.pth'), 'weights and options are fixed'),
        (dict(backbone=3), 'leave out backbone'),
        (dict(image_size=48), 'differs from that of the ONNX file'),
        (dict(classes=['a', 'b']), '2 names of classes'),
        (dict(device='cuda'), 'cuda'),
    ):
        with pytest.raises(ValueError, match=words):
            FERInferencer(path, **options)
    with pytest.raises(ValueError, match='cannot be read .No such file'):
        FERInferencer('absent.onnx')
    with pytest.raises(ValueError, match='leave out return_datasamples'):
        FERInferencer(path)(pictures(1), return_datasamples=True)
    names = list('abcdefg')
    assert FERInferencer(path, classes=names)(pictures(1))[0]['pred_class'] in names


def test_errors_of_images_stay_errors(calibrated, tmp_path):
    (tmp_path / 'bad.png').write_bytes(b'no image')
    with pytest.raises(UnreadableImageError):
        calibrated[1](tmp_path / 'bad.png')


def test_nothing_of_this_machine_is_in_a_file(calibrated, tmp_path):
    with open(calibrated[2], 'rb') as file:
        content = file.read()
    for word in (os.path.dirname(calibrated[2]), os.getcwd(), 'site-packages', '.py'):
        assert word.encode() not in content, word


def changed(path, folder, change):
    """Return a copy of a file after a change to its protobuf."""
    model = onnx.load(path)
    change(model)
    target = str(folder / 'changed.onnx')
    with open(target, 'wb') as file:
        file.write(model.SerializeToString())
    return target


def set_entry(key, value):
    def change(model):
        for entry in model.metadata_props:
            if entry.key == key:
                entry.value = value

    return change


def external(model):
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.ClearField('raw_data')
    tensor.external_data.add(key='location', value='/etc/passwd')


def loop(model):
    model.graph.node[0].op_type = 'Loop'


def foreign_operator(model):
    model.graph.node[0].domain = 'evil.ops'


def other_input(model):
    model.graph.input[0].type.tensor_type.elem_type = 1


def other_size(model):
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 48


def second_input(model):
    model.graph.input.add().CopyFrom(model.graph.input[0])
    model.graph.input[1].name = 'more'


def other_outputs(model):
    model.graph.output[0].name = 'logits'


def no_metadata(model):
    del model.metadata_props[:]


def broken_graph(model):
    model.graph.node[-1].input[0] = 'nowhere'


STEP = '[{"type": "LoadImageFromFile", "scale": [3, 3]}]'
HUGE = '[{"type": "Resize", "scale": [1000000, 1000000], "interpolation": "area", '


@pytest.mark.parametrize(
    'change, words',
    [
        (no_metadata, 'was not written by mmfer'),
        (external, 'weights in another file'),
        (loop, 'the operator Loop'),
        (foreign_operator, 'the operator evil.ops'),
        (other_input, 'its input is not the one'),
        (other_size, 'its input is not the one'),
        (second_input, 'its input is not the one'),
        (other_outputs, 'its outputs are logits'),
        (broken_graph, 'refuses this file'),
        (set_entry('mmfer_format', '7'), 'it has the format 7'),
        (set_entry('mmfer_format', '{'), 'not what mmfer writes'),
        (set_entry('image_size', '[0, 3]'), 'not what mmfer writes'),
        (set_entry('image_size', '[1e9, 1e9]'), 'not what mmfer writes'),
        (set_entry('image_size', '"x"'), 'not what mmfer writes'),
        (set_entry('channel_order', '"RGB"'), 'not what mmfer writes'),
        (set_entry('channel_order', '[]'), 'not what mmfer writes'),
        (set_entry('classes', '{"a": 1}'), 'not what mmfer writes'),
        (set_entry('classes', '["a", "b"]'), '2 names of classes'),
        (set_entry('steps_before', STEP), 'unknown step LoadImageFromFile'),
        (
            set_entry('steps_before', HUGE + '"backend": "cv2"}]'),
            'ForeignFileError|not',
        ),
        (set_entry('steps_before', '[1]'), 'not what mmfer writes'),
        (set_entry('steps_before', '[' * 100_000), 'not what mmfer writes'),
        (set_entry('calibration', '{"temperature": "x"}'), 'its calibration is not'),
        (set_entry('rejection', '[]'), 'not what mmfer writes'),
    ],
)
def test_hostile_and_foreign_files(calibrated, tmp_path, change, words):
    path = changed(calibrated[2], tmp_path, change)
    with pytest.raises(ValueError, match=words) as error:
        FERInferencer(path)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('content', [b'', b'no', b'\x08\x07' * 50, bytes(range(256))])
def test_files_that_are_no_onnx(tmp_path, content):
    path = tmp_path / 'bad.onnx'
    path.write_bytes(content)
    with pytest.raises(ForeignFileError, match='bad.onnx: (this|the)'):
        FERInferencer(path)


def test_truncated_and_flipped_files(calibrated, tmp_path):
    """No damage leads to another error than a sentence, or to a crash."""
    with open(calibrated[2], 'rb') as file:
        content = file.read()
    generator = np.random.default_rng(0)
    path = tmp_path / 'bad.onnx'
    for _ in range(30):
        damaged = bytearray(content[: int(generator.integers(1, len(content)))])
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match='bad.onnx'):
            FERInferencer(path)
        damaged = bytearray(content)
        # Names, numbers and structure are at both ends.
        place = int(generator.integers(0, 3000)) * int(generator.choice([1, -1]))
        damaged[place] ^= 1 << int(generator.integers(8))
        path.write_bytes(damaged)
        try:
            FERInferencer(path)(pictures(2))
        except ValueError as error:
            assert str(error)


def test_a_graph_that_disagrees_is_not_written(tmp_path, monkeypatch):
    predictor = predictor_of(alum(tmp_path))
    real = ExportedNetwork._read_normalisation

    def shifted(self, preprocessor):
        real(self, preprocessor)
        self.mean += 1

    monkeypatch.setattr(ExportedNetwork, '_read_normalisation', shifted)
    with pytest.raises(ExportError, match='disagree: probabilities differ by'):
        export_onnx(predictor, str(tmp_path / 'a.onnx'), 40)
    assert not list(tmp_path.glob('*.onnx'))


def own_step(cfg):
    cfg.test_dataloader.dataset.pipeline.insert(1, dict(type='RandomFlip', prob=1.0))


def padded(cfg):
    cfg.data_preprocessor.pad_size_divisor = 8
    cfg.data_preprocessor.type = 'mmpretrain.ClsDataPreprocessor'
    cfg.data_preprocessor.pop('input_shape')


@pytest.mark.parametrize(
    'change, words', [(own_step, 'the step RandomFlip'), (padded, 'pads images')]
)
def test_what_cannot_be_exported(tmp_path, change, words):
    cfg = colour(tmp_path)
    change(cfg)
    cfg.model.data_preprocessor = cfg.data_preprocessor
    with pytest.raises(ExportError, match=words):
        export_onnx(predictor_of(cfg), str(tmp_path / 'a.onnx'))
    assert not list(tmp_path.glob('*.onnx'))


def test_heads_with_predictions_of_their_own(tmp_path):
    cfg = colour(tmp_path)
    cfg.model.head = dict(
        type='mmpretrain.MultiLabelLinearClsHead', num_classes=7, in_channels=64
    )
    with pytest.raises(ExportError, match='a way of its own.*predict_batch'):
        export_onnx(TorchPredictor(cfg, False, 'cpu'), str(tmp_path / 'a.onnx'))


def test_edges_are_resized_outside(tmp_path):
    """A pipeline of mmpretrain, with a resize that keeps the ratio."""
    cfg = colour(tmp_path)
    cfg.test_dataloader.dataset.pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='ResizeEdge', scale=40, edge='short'),
        dict(type='CenterCrop', crop_size=32),
        dict(type='PackFERInputs'),
    ]
    predictor = predictor_of(cfg)
    done = export_onnx(predictor, str(tmp_path / 'a.onnx'), 20)
    assert done.input_shape == (3, 32, 32)
    compare(
        FERInferencer(predictor.model, False, 'cpu'),
        FERInferencer(done.path),
        pictures(),
    )


def test_tracing_with_fixed_norms(tmp_path):
    """The exporter of torch before 2.9 gives the same file to users."""
    predictor = predictor_of(alum(tmp_path))
    network = ExportedNetwork(predictor).eval()
    images = torch.randint(0, 256, (4, *network.input_shape), dtype=torch.uint8)
    with torch.no_grad():
        for one, other in zip(network(images), with_fixed_norms(network)(images)):
            assert torch.allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('name', MODELS)
@pytest.mark.slow
def test_the_exporter_of_torch(tmp_path, monkeypatch, name):
    """The exporter that torch has chosen from 2.9 on."""
    predictor = predictor_of(MODELS[name](tmp_path))
    monkeypatch.setattr(conversion, '_by_torch_export', BY_TORCH_EXPORT)
    monkeypatch.setattr(conversion, '_by_tracing', None)
    done = export_onnx(predictor, str(tmp_path / 'a.onnx'), 40)
    compare(
        FERInferencer(predictor.model, False, 'cpu'),
        FERInferencer(done.path),
        pictures(),
    )


def test_networks_that_torch_cannot_export(tmp_path, monkeypatch):
    def fail(network):
        raise KeyError('one\ntwo')

    for name in ('_by_torch_export', '_by_tracing'):
        monkeypatch.setattr(conversion, name, fail)
    with pytest.raises(ExportError, match='cannot export this network .KeyError'):
        export_onnx(predictor_of(alum(tmp_path)), str(tmp_path / 'a.onnx'))


def test_the_command(tmp_path, capsys, monkeypatch):
    """As a user runs it, with a path that has spaces and umlauts."""
    folder = tmp_path / 'Ordner für Modelle'
    target = folder / 'neu/klein.onnx'
    line = ['export', 'alum_tiny_ferplus', '--onnx', str(target)]
    with pytest.raises(SystemExit) as end:
        main([*line, '--check-images', '50'])
    assert not end.value.code
    said = capsys.readouterr().out
    assert 'uint8 (B, 1, 48, 48), grey' in said and 'on 50 made images' in said
    image = folder / 'Gesicht.png'
    cv2.imencode('.png', pictures(1)[0])[1].tofile(str(image))
    with pytest.raises(SystemExit):
        main(['predict', str(image), '--model', str(target)])
    assert 'uncertainty' in capsys.readouterr().out


@pytest.mark.parametrize(
    'line, words',
    [
        (['alum_tiny_ferplus', '--onnx', 'model.pth'], 'must end in .onnx'),
        (['absent', '--onnx', 'a.onnx'], "there is no model 'absent'"),
        (['a.onnx', '--onnx', 'b.onnx'], 'an ONNX file already'),
        (
            ['alum_tiny_ferplus', '--onnx', 'a.onnx', '--check-images', '0'],
            'at least 1',
        ),
        (['alum_tiny_ferplus', '--onnx', 'file/a.onnx'], 'cannot be made'),
    ],
)
def test_errors_of_the_command(tmp_path, monkeypatch, line, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'file').write_text('')
    with pytest.raises(SystemExit) as end:
        main(['export', *line])
    assert words in str(end.value.code) and '\n' not in str(end.value.code)
    assert [path.name for path in tmp_path.iterdir()] == ['file']


def test_no_permission_and_no_packages(tmp_path, monkeypatch, calibrated):
    monkeypatch.setattr(writing.os, 'access', lambda *_: False)
    with pytest.raises(PermissionError, match='no permission to write'):
        writing.check_target(str(tmp_path / 'a.onnx'))
    monkeypatch.undo()
    shutil.copy(calibrated[2], tmp_path / 'b.onnx')
    monkeypatch.setitem(__import__('sys').modules, 'onnxruntime', None)
    with pytest.raises(ImportError, match=r'pip install "mmfer\[onnx\]"'):
        FERInferencer(tmp_path / 'b.onnx')


@pytest.mark.parametrize('wide', [False, True])
def test_made_images_have_many_contrasts(wide):
    shape = (3, 8, 20) if wide else (1, 16, 16)
    batches = list(writing.made_batches(100, shape))
    images = np.concatenate(batches)
    assert images.shape == (100, *shape) and {len(b) for b in batches} >= {1, 2, 3}
    spread = images.reshape(100, -1).astype(float).std(axis=1)
    assert spread.min() == 0 and spread.max() > 60
    assert images.min() == 0 and images.max() == 255
