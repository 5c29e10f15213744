"""The row of Table 3 without an attack."""

import json
import sys

import numpy as np
import pytest
from helpers import load_tool, tiny_config

from mmfer.engine.classifier_config import classifier_config

tool = load_tool('benchmarks/split_only.py')


def run(monkeypatch, tmp_path, **options):
    cfg = tiny_config(
        None, 'ce/ce_r18_synthfaces', train_dataloader__batch_size=8, **options
    )
    cfg.pop('work_dir')
    cfg.dump(tmp_path / 'tiny.py')
    monkeypatch.setattr(
        sys,
        'argv',
        [
            'split_only.py',
            str(tmp_path / 'tiny.py'),
            '--work-dir',
            str(tmp_path / 'out'),
        ],
    )
    tool.main()
    return cfg


def test_both_models_predict(monkeypatch, tmp_path, capsys):
    trained = []
    original = tool.train_classifier

    def noted(cfg, view, num_classes, *args):
        assert classifier_config(cfg, num_classes)
        trained.append((num_classes, len(view)))
        return original(cfg, view, num_classes, *args)

    monkeypatch.setattr(tool, 'train_classifier', noted)
    asked = []

    def certain(*args):
        asked.append(len(args[1]))
        # The head model is sure of its first class, the other of its extra.
        scores = np.zeros((50, trained[len(asked) - 1][0]))
        scores[:, 0 if len(asked) == 1 else -1] = 1
        return np.arange(50), scores

    monkeypatch.setattr(tool, 'predict_view', certain)
    run(monkeypatch, tmp_path, train_dataloader__dataset__imbalance=20)
    found = json.loads(capsys.readouterr().out)
    assert len(found['head']) + len(found['tail']) == 7
    assert [n for n, _ in trained] == [len(found['head']) + 1, len(found['tail']) + 1]
    assert trained[0][1] == 96 and asked == [50, 50]
    # Another seed is another run, in the same work dir.
    asked.clear()
    folders = set((tmp_path / 'out').glob('*-set-*'))
    run(
        monkeypatch,
        tmp_path,
        train_dataloader__dataset__imbalance=20,
        randomness__seed=1,
    )
    assert len(set((tmp_path / 'out').glob('*-set-*')) - folders) == 2
    # One class is predicted throughout.
    assert found['mean_class_accuracy'] == pytest.approx(100 / 7, abs=0.01)


def test_nothing_to_split(monkeypatch, tmp_path):
    from mmfer.datasets import SyntheticFaces

    monkeypatch.setattr(
        SyntheticFaces, 'get_gt_labels', lambda self: np.arange(len(self)) % 7
    )
    with pytest.raises(SystemExit, match='no tail to split'):
        run(monkeypatch, tmp_path)
