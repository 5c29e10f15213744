"""Relabelling during a run: which labels change, what is recorded, what is refused."""

import json
import math

import numpy as np
import pytest
import torch
from helpers import Stop, StopAt, poison_clean_labels, tiny_config, train
from loop_helpers import StopAfter, assert_same_runs, config
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmpretrain import get_model

from mmfer.engine.hooks.relabel import relabel, relabel_figures
from mmfer.registry import DATASETS, HOOKS
from mmfer.score_table import read_columns


def test_relabel():
    scores = np.array(
        [[0.5, 0.4, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6], [0.0, 0.3, 0.7]]
    )
    uncertainty = np.array([0.9, 0.8, 0.7, 0.1])
    labels = np.array([1, 0, 0, 0])
    # Rows 0 and 1 are the most uncertain; they gain 0.1 and 0.7.
    rows, new = relabel(scores, uncertainty, labels, 0.5, 0.2)
    assert rows.tolist() == [1] and new.tolist() == [1]
    rows, new = relabel(scores, uncertainty, labels, 1.0, 0.2)
    assert rows.tolist() == [1, 2, 3] and new.tolist() == [1, 2, 2]
    # The threshold is exclusive.
    rows, _ = relabel(np.array([[0.4, 0.6]]), np.ones(1), np.zeros(1, int), 1.0, 0.2)
    assert rows.tolist() in ([], [0]) and (0.6 - 0.4 > 0.2) == bool(len(rows))


def test_relabel_agrees_with_a_loop():
    """Half of the samples, a gain of more than 0.2, one sample at a time."""
    rng = np.random.default_rng(0)
    scores = rng.dirichlet(np.ones(4), 101)
    uncertainty, labels = rng.random(101), rng.integers(0, 4, 101)
    rows, new = relabel(scores, uncertainty, labels, 0.5, 0.2)
    wanted = {}
    for i in range(101):
        surer = sum(u > uncertainty[i] for u in uncertainty)
        best = int(np.argmax(scores[i]))
        # round(50.5) is 50.
        if surer < 50 and scores[i, best] - scores[i, labels[i]] > 0.2:
            wanted[i] = best
    assert dict(zip(rows.tolist(), new.tolist())) == wanted and len(wanted) > 20


def test_relabel_figures():
    clean = np.array([0, 0, 0, 1, 1])
    given = np.array([1, 1, 0, 1, 1])
    before = np.array([0, 1, 0, 1, 2])
    after = np.array([0, 0, 2, 1, 1])
    assert relabel_figures(given, before, after, clean) == dict(
        relabelled=3,
        labels_changed=3,
        relabelled_right=2,
        wrong_corrected=2,
        right_spoiled=1,
        wrong_left=1,
    )
    assert relabel_figures(given, before, after, None) == dict(
        relabelled=3, labels_changed=3
    )


RELABEL = dict(type='RelabelHook', start_epoch=1, fraction=1.0, threshold=-1e-9)


def read_figures(work_dir):
    return [
        e.get('figures') for e in json.loads((work_dir / 'history.json').read_text())
    ]


def test_relabelling_is_recorded(tmp_path):
    """In history.json, in summary.json and for each sample."""
    runner = train(tiny_config(tmp_path, custom_hooks=[RELABEL]))
    dataset = runner.train_dataloader.dataset
    used = dataset.all_labels.numpy()
    history = read_figures(tmp_path)
    assert history[0] is None and history[1]['relabelled'] > 0
    last = json.loads((tmp_path / 'summary.json').read_text())['figures']
    assert last == history[2]
    assert last['labels_changed'] == (used != dataset.given_labels).sum()
    assert last['wrong_left'] == (used != dataset.clean_labels).sum()
    # What is right before and after is in neither number.
    given_wrong = (dataset.given_labels != dataset.clean_labels).sum()
    assert last['wrong_left'] == (
        given_wrong - last['wrong_corrected'] + last['right_spoiled']
    )
    table = read_columns(
        str(tmp_path / 'sample_scores.csv'), ['sample_id', 'used_label']
    )
    ids, written = map(table.whole_numbers, ('sample_id', 'used_label'))
    assert used[ids].tolist() == written and len(ids) == 96


def test_clean_labels_change_no_label(tmp_path, monkeypatch):
    first = train(tiny_config(tmp_path / 'a', custom_hooks=[RELABEL]))
    poison_clean_labels(monkeypatch)
    second = train(tiny_config(tmp_path / 'b', custom_hooks=[RELABEL]))
    labels = [r.train_dataloader.dataset.all_labels for r in (first, second)]
    assert torch.equal(*labels)
    figures = [read_figures(tmp_path / name)[2] for name in 'ab']
    assert figures[0]['labels_changed'] == figures[1]['labels_changed']
    assert figures[0]['wrong_left'] != figures[1]['wrong_left']


# Six batches an epoch: inside the last one, after its training, and before it.
@pytest.mark.parametrize(
    'stopper',
    [StopAfter(15), StopAt('before_val_epoch', 3), StopAt('before_train_epoch', 2)],
    ids=['inside', 'before validation', 'before'],
)
def test_labels_and_figures_survive_a_kill(tmp_path, stopper):
    options = dict(name='rul', custom_hooks=[RELABEL])
    whole = train(config(tmp_path / 'whole', **options))
    with pytest.raises(Stop):
        train(config(tmp_path / 'parts', **options), stopper)
    resumed = train(config(tmp_path / 'parts', resume=True, **options))
    assert_same_runs(whole, resumed, tmp_path)
    labels = [r.train_dataloader.dataset.all_labels for r in (whole, resumed)]
    assert torch.equal(*labels)
    assert not np.array_equal(labels[0], whole.train_dataloader.dataset.given_labels)
    assert read_figures(tmp_path / 'whole') == read_figures(tmp_path / 'parts')


def test_relabelling_of_a_subset_in_another_order(tmp_path, monkeypatch):
    """Predictions come by ascending sample_id, whatever the order of the subset."""
    order = [5, 90, 3, 41, 7, 7, 66, 2] * 5

    def predict(runner):
        ids = np.unique(order)
        scores = np.zeros((len(ids), 7), np.float32)
        scores[np.arange(len(ids)), ids % 7] = 1
        return dict(sample_id=ids, pred_score=scores, uncertainty=np.ones(len(ids)))

    monkeypatch.setattr('mmfer.engine.hooks.relabel.predict_training_set', predict)
    cfg = tiny_config(tmp_path, custom_hooks=[RELABEL], train_cfg__max_epochs=2)
    cfg.train_dataloader.dataset.indices = order
    dataset = train(cfg).train_dataloader.dataset
    used = dataset.all_labels.numpy()
    assert (used[order] == np.array(order) % 7).all()
    others = np.setdiff1d(np.arange(96), order)
    assert (used[others] == dataset.given_labels[others]).all()


def test_relabelling_with_soft_labels_or_too_late(tmp_path, monkeypatch):
    late = dict(RELABEL, start_epoch=3)
    cfg = tiny_config(tmp_path, custom_hooks=[late], train_cfg__max_epochs=1)
    said = []
    monkeypatch.setattr(MMLogger, 'warning', lambda self, text, **_: said.append(text))
    runner = train(cfg)
    assert any('so no label will change' in text for text in said)
    runner.train_dataloader.dataset.soft_labels = True
    with pytest.raises(ValueError, match='Remove soft_labels'):
        HOOKS.build(late).before_train(runner)
    with pytest.raises(ValueError, match='threshold must'):
        HOOKS.build(dict(RELABEL, threshold=20))


def test_relabel_reaches_persistent_workers(tmp_path):
    seen = []

    class Record(Hook):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            if runner.epoch == 2:
                seen.extend(
                    (s.sample_id, int(s.gt_label)) for s in data_batch['data_samples']
                )

    hook = dict(type='RelabelHook', start_epoch=2, fraction=1.0, threshold=-1e-9)
    runner = train(
        tiny_config(
            tmp_path,
            custom_hooks=[hook],
            train_dataloader__num_workers=1,
            train_dataloader__persistent_workers=True,
        ),
        Record(),
    )
    dataset = runner.train_dataloader.dataset
    labels = dataset.all_labels.numpy()
    assert seen and all(labels[i] == label for i, label in seen)
    assert any(dataset.given_labels[i] != label for i, label in seen)


def test_relabelled_labels_stay_in_their_run(tmp_path):
    """Fine-tuning from a relabelled run starts with the given labels."""
    hooks = [dict(type='RelabelHook', start_epoch=1, fraction=1.0, threshold=-1e-9)]
    train(tiny_config(tmp_path / 'a', custom_hooks=hooks))
    runner = train(
        tiny_config(
            tmp_path / 'b',
            custom_hooks=hooks,
            train_cfg__max_epochs=1,
            load_from=str(tmp_path / 'a/epoch_3.pth'),
        )
    )
    dataset = runner.train_dataloader.dataset
    assert (dataset.all_labels.numpy() == dataset.given_labels).all()


def test_labels_follow_from_the_predictions_of_single_images(tmp_path):
    """Supplement B, in a loop: eval mode, no augmentation, the mean's logits."""
    hook = dict(RELABEL, fraction=0.5, threshold=0.01)
    options = dict(custom_hooks=[hook], train_cfg__max_epochs=2)
    dataset = train(config(tmp_path, 'rul', **options)).train_dataloader.dataset
    (path,) = tmp_path.glob('*.py')
    model = get_model(str(path), pretrained=str(tmp_path / 'epoch_1.pth')).eval()
    cfg = Config.fromfile(path)
    plain = DATASETS.build(
        dict(cfg.train_dataloader.dataset, pipeline=cfg.val_dataloader.dataset.pipeline)
    )
    found = []
    for i in range(96):
        data = model.data_preprocessor(dict(inputs=plain[i]['inputs'][None]))
        with torch.no_grad():
            feature = model.extract_feat(data['inputs'])
            scores = model.head.fc(feature.mean)[0].softmax(dim=0).tolist()
        uncertainty = sum(math.exp(v) for v in feature.log_var[0].tolist()) / 64
        found.append((uncertainty, scores))
    middle = sorted(u for u, _ in found)[48]
    used = dataset.all_labels.tolist()
    moved = 0
    for (uncertainty, scores), given, label in zip(found, dataset.given_labels, used):
        gain = max(scores) - scores[given]
        if abs(gain - 0.01) < 1e-5 or abs(uncertainty / middle - 1) < 1e-5:
            continue
        change = uncertainty > middle and gain > 0.01
        assert label == (scores.index(max(scores)) if change else given)
        moved += change
    assert 10 < moved < 48
