"""What is given away is the weights, and thresholds that hold."""

import numpy as np
import pytest
import torch
from helpers import load_tool, tiny_config, train
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmfer import FERInferencer
from mmfer.registry import DATASETS

HELD_OUT = 40


@pytest.fixture(scope='module')
def work_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp('work_dir')
    cfg = tiny_config(
        folder,
        train_dataloader__dataset__indices=160,
        train_dataloader__dataset__num_samples=200,
        image_size=(36, 36),
    )
    train(cfg)
    return folder


def publish(work_dir, monkeypatch, out, *options):
    (config,) = work_dir.glob('*.py')
    *_, checkpoint = sorted(work_dir.glob('*.pth'))
    tool = load_tool('model_converters/publish_model.py')
    monkeypatch.setattr(
        'sys.argv', ['x', str(config), str(checkpoint), str(out), *map(str, options)]
    )
    tool.main()
    return config, checkpoint


@pytest.fixture
def published(work_dir, tmp_path, monkeypatch):
    out = tmp_path / 'new/published.pth'
    config, _ = publish(work_dir, monkeypatch, out, '--half', '--held-out', HELD_OUT)
    return config, out


def test_weights_alone(work_dir, published):
    config, out = published
    content = torch.load(out, weights_only=True)
    assert set(content) == {'meta', 'state_dict'}
    *_, checkpoint = sorted(work_dir.glob('*.pth'))
    before = torch.load(checkpoint, weights_only=True)['state_dict']
    after = content['state_dict']
    assert set(after) == set(before)
    for name, value in after.items():
        if before[name].is_floating_point():
            assert value.dtype == torch.float16
            torch.testing.assert_close(
                value.float(), before[name], rtol=1e-3, atol=1e-6
            )
        else:
            assert torch.equal(value, before[name])
    # Where it was trained is nobody's business.
    assert str(work_dir.parent).encode() not in out.read_bytes()
    assert len(content['meta']['dataset_meta']['classes']) == 7


def test_predictions_stay(work_dir, published):
    config, out = published
    faces = list(np.random.default_rng(0).integers(0, 256, (20, 36, 36), np.uint8))
    before = FERInferencer(str(work_dir), device='cpu')(faces)
    after = FERInferencer(str(config), str(out), device='cpu')(faces)
    for one, other in zip(before, after):
        np.testing.assert_allclose(one['pred_scores'], other['pred_scores'], atol=5e-3)
        assert (
            one['pred_class'] == other['pred_class']
            or np.diff(np.sort(one['pred_scores'])[-2:]) < 0.01
        )


def test_thresholds_hold_on_held_out_images(published):
    """Those left by a threshold are wrong no more often than promised."""
    config, out = published
    fer = FERInferencer(str(config), str(out), device='cpu')
    cfg = Config.fromfile(str(config))
    init_default_scope('mmfer')
    settings = dict(cfg.train_dataloader.dataset, indices=None)
    dataset = DATASETS.build(settings)
    dataset.full_init()
    infos = [dataset.get_data_info(i) for i in range(200 - HELD_OUT, 200)]
    found = fer([info['img'] for info in infos])
    wrong = np.array(
        [r['pred_label'] != info['gt_label'] for r, info in zip(found, infos)]
    )
    uncertainty = np.array([r['uncertainty'] for r in found])
    table = fer.model.rejection
    assert table['images'] == HELD_OUT
    assert table['error'] == pytest.approx(wrong.mean())
    held = 0
    for target, threshold, kept in table['thresholds']:
        left = uncertainty <= threshold + 1e-7
        assert kept == pytest.approx(left.mean())
        if kept:
            assert wrong[left].mean() <= target + 1e-9
            assert fer.rejection_threshold(target) >= threshold
            held += 1
    if held:
        lowest = min(t for t, _, kept in table['thresholds'] if kept)
        with pytest.raises(ValueError, match='the lowest error rate was'):
            fer.rejection_threshold(lowest / 2)
    else:
        with pytest.raises(ValueError, match='keeps any image'):
            fer.rejection_threshold(0.01)


def test_a_known_table(fer_with_table):
    """The most that a target allows, not the nearest."""
    fer = fer_with_table
    assert fer.rejection_threshold(0.05) == 0.2
    assert fer.rejection_threshold(0.07) == 0.2
    assert fer.rejection_threshold(0.1) == 0.5
    assert fer.rejection_threshold(0.9) == 0.5
    with pytest.raises(ValueError, match='error rate was 5.0%'):
        fer.rejection_threshold(0.01)


@pytest.fixture
def fer_with_table(work_dir):
    fer = FERInferencer(str(work_dir), device='cpu')
    fer.model.rejection = dict(
        images=100,
        error=0.2,
        thresholds=[[0.01, float('-inf'), 0.0], [0.05, 0.2, 0.4], [0.1, 0.5, 0.7]],
    )
    return fer


def test_images_of_the_training_are_refused(work_dir, monkeypatch, tmp_path):
    with pytest.raises(ValueError, match='only the last 40 of 200'):
        publish(work_dir, monkeypatch, tmp_path / 'x.pth', '--held-out', 41)
    with pytest.raises(ValueError, match='only the last 0 of 200'):
        publish(
            work_dir,
            monkeypatch,
            tmp_path / 'x.pth',
            '--held-out',
            1,
            '--cfg-options',
            'train_dataloader.dataset.indices=None',
        )
    assert not (tmp_path / 'x.pth').exists()


def test_without_thresholds(work_dir):
    fer = FERInferencer(str(work_dir), device='cpu')
    with pytest.raises(ValueError, match='publish_model.py'):
        fer.rejection_threshold(0.1)
