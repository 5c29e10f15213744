"""The model that is part of the package works without a download."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import CONFIGS, ROOT, environment
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain.apis import ImageClassificationInferencer

import mmfer
from mmfer import FERInferencer
from mmfer.analysis.runs import open_model
from mmfer.apis import register_models
from mmfer.apis.evaluated_weights import evaluate_weights
from mmfer.evaluation.calibration import apply_temperature
from mmfer.evaluation.functional import auroc
from mmfer.registry import DATASETS

NAME = 'alum_tiny_ferplus'
WEIGHTS = Path(ROOT) / f'mmfer/weights/{NAME}.pth'


@pytest.fixture(scope='module')
def fer():
    return FERInferencer(NAME, device='cpu')


@pytest.fixture
def faces():
    return list(np.random.default_rng(0).integers(0, 256, (5, 48, 48), np.uint8))


def test_small_and_safe():
    assert WEIGHTS.stat().st_size < 5e6
    content = torch.load(WEIGHTS, weights_only=True)
    assert set(content) == {'meta', 'state_dict'}
    assert all(value.isfinite().all() for value in content['state_dict'].values())
    for path in WEIGHTS.parent.iterdir():
        for part in (b'/home', b'/root', b'/opt', b'/work', b'/tmp'):
            assert part not in path.read_bytes().replace(b'/workspace', b''), path


def test_record_is_that_of_the_config():
    record = json.loads(WEIGHTS.with_suffix('.json').read_text())
    cfg = Config.fromfile(f'{CONFIGS}/alum/{NAME}.py')
    assert record['config'] == NAME
    assert record['epochs'] == cfg.train_cfg.max_epochs
    assert record['metrics']['accuracy/top1']['last'] > 80
    assert mmfer.list_models(weights=True) == [NAME]


def test_three_lines(fer, faces):
    for result in fer(faces):
        assert result['pred_class'] in fer.classes and len(fer.classes) == 8
        assert sum(result['pred_scores'].values()) == pytest.approx(1, abs=1e-4)
        # It was published with plain confidence as its uncertainty.
        assert result['uncertainty'] == pytest.approx(
            1 - result['pred_score'], abs=1e-5
        )


def test_thresholds_grow_with_the_error_allowed(fer, faces):
    thresholds = [fer.rejection_threshold(e) for e in (0.05, 0.1, 0.15)]
    assert 0 < thresholds[0] < thresholds[1] < thresholds[2] < 1
    for result in fer(faces, reject_above=thresholds[1]):
        assert result['rejected'] == (result['uncertainty'] > thresholds[1])


def test_mmpretrain_s_inferencer_knows_it(fer, faces):
    register_models()
    theirs = ImageClassificationInferencer(NAME, pretrained=True)
    colour = [np.repeat(face[..., None], 3, axis=2) for face in faces]
    for one, other in zip(fer(faces), theirs(colour)):
        assert one['pred_class'] == other['pred_class']
        found = list(one['pred_scores'].values())
        # mmpretrain does not know the temperature.
        scores = apply_temperature(
            other['pred_scores'][None], fer.predictor.calibration.temperature
        )
        np.testing.assert_allclose(found, scores[0], atol=1e-5)


PROGRAM = """
import sys
import numpy as np
from mmengine.registry import DefaultScope
import mmfer
from mmpretrain.registry import MODELS
assert DefaultScope.get_current_instance() is None
assert MODELS.get('mmfer.FERClassifier') is not None
from mmpretrain import inference_model
from mmpretrain.apis import ImageClassificationInferencer
from mmfer.apis import register_models
register_models()
face = np.load(sys.argv[1])
results = [inference_model('alum_tiny_ferplus', face, pretrained=True)]
name, checkpoint = sys.argv[2:4]
results.append(inference_model(name, face, pretrained=checkpoint))
results.append(ImageClassificationInferencer(name, checkpoint)(face)[0])
np.savez(sys.argv[4], *[r['pred_scores'] for r in results])
print([r['pred_class'] for r in results])
"""


def test_mmpretrain_alone(fer, tmp_path):
    """mmpretrain uses our models in a process where nothing has set a scope."""
    name = 'ce_r18_synthfaces_noise30'
    face = np.random.default_rng(1).integers(0, 256, (48, 48, 3), np.uint8)
    np.save(tmp_path / 'face.npy', face)
    path = str(tmp_path / 'made.pth')
    model = mmfer.get_model(name)
    torch.save(dict(state_dict=model.state_dict()), path)
    done = subprocess.run(
        [
            sys.executable,
            '-c',
            PROGRAM,
            str(tmp_path / 'face.npy'),
            name,
            path,
            str(tmp_path / 'scores.npz'),
        ],
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = np.load(tmp_path / 'scores.npz')
    ours = FERInferencer(name, path, device='cpu', image_size=48)
    expected = [fer(face)[0], ours(face)[0], ours(face)[0]]
    temperatures = [fer.predictor.calibration.temperature, 1, 1]
    for key, result, temperature in zip(found, expected, temperatures, strict=True):
        np.testing.assert_allclose(
            apply_temperature(found[key][None], temperature)[0],
            list(result['pred_scores'].values()),
            atol=1e-5,
        )
    names = str([result['pred_class'] for result in expected])
    assert names in done.stdout


@pytest.mark.slow
def test_the_record_is_what_is_measured():
    """The counts of the record and of the model card, measured again."""
    record = json.loads(WEIGHTS.with_suffix('.json').read_text())
    cfg, model = open_model(f'{CONFIGS}/alum/{NAME}.py', str(WEIGHTS))
    settings = cfg.test_dataloader.dataset
    settings.data_root = str(Path(ROOT) / settings.data_root)
    if not Path(settings.data_root).is_dir():
        pytest.skip(f'FERPlus is not in {settings.data_root}')
    found, stored = (
        evaluate_weights(model, cfg, record['classes']),
        record['evaluation'],
    )
    assert found['images'] == stored['images']
    # Another machine may round an image of two equal classes differently.
    difference = np.abs(np.subtract(found['confusion'], stored['confusion']))
    assert difference.sum() <= 8
    assert found['error_auroc'] == pytest.approx(stored['error_auroc'], abs=1e-3)


@pytest.mark.slow
def test_on_ferplus():
    """Accuracy, ranking by uncertainty, and thresholds of the shipped model."""
    cfg = Config.fromfile(f'{CONFIGS}/alum/{NAME}.py')
    settings = cfg.test_dataloader.dataset
    settings.data_root = str(Path(ROOT) / settings.data_root)
    if not Path(settings.data_root).is_dir():
        pytest.skip(f'FERPlus is not in {settings.data_root}')
    init_default_scope('mmfer')
    dataset = DATASETS.build(settings)
    dataset.full_init()
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    fer = FERInferencer(NAME, device='cpu')
    found = fer([info['img_path'] for info in infos])
    wrong = np.array(
        [r['pred_label'] != info['gt_label'] for r, info in zip(found, infos)]
    )
    uncertainty = np.array([r['uncertainty'] for r in found])
    assert wrong.mean() < 0.2
    assert auroc(uncertainty, wrong) > 0.75
    most = np.argsort(-uncertainty, kind='stable')[:100]
    assert wrong[most].mean() > 3 * wrong.mean()
    for target in (0.05, 0.1, 0.15):
        kept = uncertainty <= fer.rejection_threshold(target)
        assert wrong[kept].mean() < target
