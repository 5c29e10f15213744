import csv
import io
import json
import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers import assert_same_state, poison_clean_labels, tiny_config, train
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmfer.compat import AtomicLocalBackend
from mmfer.datasets.synthetic_faces import EXPRESSIONS
from mmfer.engine.hooks.reproducibility import ReproducibilityHook
from mmfer.engine.hooks.summary import summarize
from mmfer.evaluation import auroc
from mmfer.utils.random import set_step, step_key


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    work_dir = tmp_path_factory.mktemp('run')
    return train(tiny_config(work_dir)), work_dir


def read_scores(work_dir):
    with open(work_dir / 'sample_scores.csv', newline='') as file:
        return list(csv.DictReader(file))


# -- sample scores ----------------------------------------------------------
def test_table_of_a_training(trained):
    runner, work_dir = trained
    rows = read_scores(work_dir)
    dataset = runner.train_dataloader.dataset
    assert [int(r['sample_id']) for r in rows] == list(range(96))
    given = np.array([int(r['given_label']) for r in rows])
    clean = np.array([int(r['clean_label']) for r in rows])
    assert (given == dataset.given_labels).all()
    assert (clean == dataset.clean_labels).all()
    assert (given != clean).sum() == round(0.3 * 96)
    # Compare with the model, run on one sample at a time.
    model = runner.model.eval()
    pipeline = runner.val_dataloader.dataset.pipeline
    for index in (0, 17, 95):
        packed = pipeline(dataset.get_data_info(index))
        packed = dict(
            inputs=packed['inputs'][None], data_samples=[packed['data_samples']]
        )
        with torch.no_grad():
            (sample,) = model.val_step(packed)
        row = rows[index]
        assert float(row['noise_score']) == pytest.approx(
            1 - float(sample.pred_score[given[index]]), abs=1e-4
        )
        assert float(row['uncertainty']) == pytest.approx(
            float(sample.uncertainty), rel=1e-3
        )
    names = dataset.CLASSES
    for kind in ('given', 'suggested'):
        assert [r[f'{kind}_class'] for r in rows] == [
            names[int(r[f'{kind}_label'])] for r in rows
        ]
    # That of the scores before they were cut to six digits.
    summary = json.loads((work_dir / 'summary.json').read_text())
    scores, wrong = np.array([float(r['noise_score']) for r in rows]), given != clean
    low, high = (auroc(scores + sign * 6e-7 * wrong, wrong) for sign in (-1, 1))
    assert low <= summary['noise_auroc'] <= high < low + 0.01
    # ALUM has no score of its own.
    assert summary['probability_auroc'] == pytest.approx(summary['noise_auroc'])


def test_clean_labels_reach_nothing(tmp_path, monkeypatch):
    """Poisoned clean labels change no weight, score or decision."""
    first = train(tiny_config(tmp_path / 'a'))
    poison_clean_labels(monkeypatch)
    second = train(tiny_config(tmp_path / 'b'))
    assert_same_state(first.model.state_dict(), second.model.state_dict())
    tables = [read_scores(tmp_path / name) for name in 'ab']
    assert [r.pop('clean_label') for r in tables[0]] != [
        r.pop('clean_label') for r in tables[1]
    ]
    assert tables[0] == tables[1]


# -- summary ------------------------------------------------------------------
def test_summarize():
    history = [dict(a=float(i)) for i in (3, 9, 1, 2, 3, 4, 5)]
    assert summarize(history, 5) == dict(a=dict(last=5.0, best=9.0, last5_mean=3.0))
    assert summarize([], 5) == {}
    for name, best in (('va/mse_valence', 1), ('rejection/uncertainty_augrc', 1)):
        history = [{name: float(i)} for i in (3, 1, 2)]
        assert summarize(history, 5)[name]['best'] == best
    assert summarize([{'rejection/uncertainty_auroc': 0.5}], 5)


def test_summary_of_a_training(trained):
    runner, work_dir = trained
    summary = json.loads((work_dir / 'summary.json').read_text())
    assert summary['config'] == 'alum_r18_synthfaces_noise30'
    assert summary['seed'] == 0 and summary['epochs'] == 3
    for name in (
        'accuracy/top1',
        'accuracy/mean_class',
        'rejection/uncertainty_20',
        'rejection/confidence_30',
    ):
        entry = summary['metrics'][name]
        assert set(entry) == {'last', 'best', 'last5_mean'}
        assert 0 <= entry['last'] <= entry['best'] <= 100
    versions = set(summary['versions'])
    assert 'torch' in versions
    # OpenMMLab's packages, or those of the maintained fork.
    for name in ('mmengine', 'mmpretrain'):
        assert len({name, f'onedl-{name}'} & versions) == 1
    manifest = json.loads((work_dir / 'label_noise.json').read_text())
    assert manifest['noisy_sha256'] == summary['labels_sha256']
    assert manifest['num_changed'] == round(0.3 * 96)


def test_summary_hashes_follow_what_decides(tmp_path):
    hashes = []
    for index, options in enumerate(
        [
            {},
            {},
            dict(train_dataloader__dataset__label_noise__seed=5),
            dict(optim_wrapper__optimizer__lr=7e-3),
        ]
    ):
        work_dir = tmp_path / str(index)
        cfg = tiny_config(work_dir, train_cfg__max_epochs=1, **options)
        train(cfg)
        summary = json.loads((work_dir / 'summary.json').read_text())
        hashes.append((summary['config_sha256'], summary['labels_sha256']))
    assert hashes[0] == hashes[1]
    assert hashes[2][0] != hashes[0][0] and hashes[2][1] != hashes[0][1]
    assert hashes[3][0] != hashes[0][0] and hashes[3][1] == hashes[0][1]


# -- checkpoints --------------------------------------------------------------
def test_checkpoint_loads_safely(trained):
    _, work_dir = trained
    checkpoint = torch.load(work_dir / 'epoch_3.pth', weights_only=True)
    assert checkpoint['meta']['epoch'] == 3
    assert not list(work_dir.glob('.*')), 'temporary files left behind'


def test_message_hub_survives(trained):
    """The history that mmengine averages is the same after a safe load."""
    runner, work_dir = trained
    cfg = tiny_config(work_dir / 'again', load_from=None)
    other = Runner.from_cfg(cfg)
    other.model.init_weights()
    other.load_checkpoint(str(work_dir / 'epoch_3.pth'))
    before = runner.message_hub.get_scalar('train/loss').data[0]
    checkpoint = torch.load(work_dir / 'epoch_3.pth', weights_only=True)
    stored = checkpoint['message_hub']['log_scalars']['train/loss']
    assert np.allclose(stored['log'].numpy(), before)


def test_other_head_size_is_refused(trained, tmp_path):
    """The classes tell it, or the tensors if a checkpoint names no classes."""
    _, work_dir = trained
    path = str(work_dir / 'epoch_3.pth')
    eight = dict(
        data_preprocessor__num_classes=8,
        train_dataloader__dataset__metainfo=dict(classes=[*EXPRESSIONS, 'contempt']),
        val_dataloader__dataset__metainfo=dict(classes=[*EXPRESSIONS, 'contempt']),
    )
    with pytest.raises(ValueError, match='8 classes and the checkpoint has 7'):
        Runner.from_cfg(tiny_config(tmp_path, load_from=path, **eight)).test()
    checkpoint = torch.load(path, weights_only=True)
    del checkpoint['meta']['dataset_meta']
    torch.save(checkpoint, tmp_path / 'foreign.pth')
    cfg = tiny_config(tmp_path, load_from=str(tmp_path / 'foreign.pth'), **eight)
    with pytest.raises(ValueError, match=r'head\.fc\.weight.*\(7, 64\)'):
        Runner.from_cfg(cfg).test()
    # Fine-tuning with other classes is allowed.
    train(
        tiny_config(
            tmp_path,
            default_hooks__checkpoint__strict_shapes=False,
            train_cfg__max_epochs=1,
            load_from=path,
            **eight,
        )
    )


def test_missing_weights_are_refused(trained, tmp_path):
    """They are not evaluated at their initial values with only a warning."""
    _, work_dir = trained
    checkpoint = torch.load(work_dir / 'epoch_3.pth', weights_only=True)
    del checkpoint['state_dict']['head.fc.bias']
    torch.save(checkpoint, tmp_path / 'part.pth')
    load = dict(load_from=str(tmp_path / 'part.pth'))
    with pytest.raises(ValueError, match='lacks 1 of .*head.fc.bias'):
        Runner.from_cfg(tiny_config(tmp_path, **load)).test()
    train(tiny_config(tmp_path, train_cfg__max_epochs=1, **load))


def test_kill_while_saving_leaves_a_checkpoint(tmp_path, monkeypatch):
    """``last_checkpoint`` names a complete file at any moment."""
    put, calls = AtomicLocalBackend.put, []

    def failing(self, obj, path):
        calls.append(path)
        if len(calls) == 2:
            raise KeyboardInterrupt
        put(self, obj, path)

    monkeypatch.setattr(AtomicLocalBackend, 'put', failing)
    with pytest.raises(KeyboardInterrupt):
        train(tiny_config(tmp_path))
    last = (tmp_path / 'last_checkpoint').read_text()
    assert last == 'epoch_1.pth'
    torch.load(tmp_path / last, weights_only=True)


def test_old_checkpoints_are_removed(trained):
    _, work_dir = trained
    names = sorted(p.name for p in work_dir.glob('*.pth'))
    assert names == ['epoch_2.pth', 'epoch_3.pth']


def test_ramp(tmp_path):
    values = []

    class Record(Hook):
        def after_train_iter(self, runner, *args, **kwargs):
            values.append(runner.model.head.mine_ratio)

    ramp = dict(type='LinearRampHook', attribute='head.mine_ratio', end=0.2, epochs=2)
    train(tiny_config(tmp_path, custom_hooks=[ramp]), Record())
    expected = [min(i / 6, 1) * 0.2 for i in range(9)]
    assert values == pytest.approx(expected)


def test_stale_results_are_removed(tmp_path):
    for name in ('summary.json', 'label_noise.json', 'sample_scores.csv'):
        (tmp_path / name).write_text('old')
    train(tiny_config(tmp_path, 'alum/alum_r18_synthfaces', train_cfg__max_epochs=1))
    assert not (tmp_path / 'label_noise.json').exists()
    assert (tmp_path / 'summary.json').read_text() != 'old'


def test_any_data_set_of_mmpretrain_trains(tmp_path):
    """There are no scores, and the log says so at the start."""
    cfg = tiny_config(tmp_path, train_cfg__max_epochs=1)
    cfg.train_dataloader.dataset = dict(
        type='ConcatDataset',
        datasets=[cfg.train_dataloader.dataset, cfg.train_dataloader.dataset],
    )
    train(cfg)
    assert (tmp_path / 'summary.json').exists()
    assert not (tmp_path / 'sample_scores.csv').exists()


def test_images_of_both_sets_are_prepared_before_the_first_step(tmp_path, monkeypatch):
    events = []
    monkeypatch.setattr(
        'mmfer.engine.hooks.image_store.prepare_images',
        lambda dataset: events.append(len(dataset)),
    )

    class FirstStep(Hook):
        def before_train_iter(self, runner, *args, **kwargs):
            events.append('step')

    cfg = tiny_config(tmp_path, 'ce/ce_r18_synthfaces', train_cfg__max_epochs=1)
    train(cfg, FirstStep())
    assert events[:3] == [96, 50, 'step']


@pytest.mark.parametrize(
    'collate, preprocessor, reason',
    [
        ('fer_collate', None, None),
        ('default_collate', None, "write collate_fn=dict(type='fer_collate')"),
        ('default_collate', 'mmpretrain.ClsDataPreprocessor', 'FERDataPreprocessor'),
    ],
)
def test_slow_batches_are_explained_once(tmp_path, collate, preprocessor, reason):
    cfg = tiny_config(tmp_path, 'ce/ce_r18_synthfaces', train_cfg__max_epochs=2)
    cfg.train_dataloader.collate_fn = dict(type=collate)
    if preprocessor:
        cfg.model = dict(
            type='mmpretrain.ImageClassifier',
            backbone=dict(cfg.model.backbone, in_channels=1),
            neck=dict(type='mmpretrain.GlobalAveragePooling'),
            head=dict(type='mmpretrain.LinearClsHead', num_classes=7, in_channels=64),
        )
        cfg.data_preprocessor = dict(type=preprocessor, mean=[127.5], std=[63.75])
    runner = Runner.from_cfg(cfg)
    texts = []
    runner.logger.info = lambda text, *_, **__: texts.append(str(text))
    runner.train()
    found = [text for text in texts if 'one image after the other' in text]
    assert len(found) == (reason is not None)
    assert all(reason in text for text in found)


def test_no_validation_still_trains(tmp_path):
    cfg = tiny_config(tmp_path, train_cfg__max_epochs=1)
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    train(cfg)
    summary = json.loads((tmp_path / 'summary.json').read_text())
    assert summary['metrics'] == {} and summary['epochs'] == 1
    assert not (tmp_path / 'sample_scores.csv').exists()


def test_validation_sets_in_wrappers(tmp_path):
    """The pipeline of the first part prepares the training images."""
    cfg = tiny_config(tmp_path, 'ce/ce_r18_synthfaces', train_cfg__max_epochs=1)
    part = dict(cfg.val_dataloader.dataset, num_samples=14)
    cfg.val_dataloader.dataset = dict(
        type='RepeatDataset',
        times=1,
        dataset=dict(type='ConcatDataset', datasets=[part, part]),
    )
    train(cfg)
    assert len(read_scores(tmp_path)) == 96


def test_pipeline_without_sample_id(tmp_path):
    """The log says before the training that there will be no table."""
    cfg = tiny_config(tmp_path, 'ce/ce_r18_synthfaces', train_cfg__max_epochs=1)
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.dataset.pipeline[-1] = dict(type='PackInputs')
    cfg.val_evaluator = dict(type='Accuracy')
    cfg.test_evaluator = cfg.val_evaluator
    log = io.StringIO()
    runner = Runner.from_cfg(cfg)
    handler = logging.StreamHandler(log)
    runner.logger.addHandler(handler)
    runner.train()
    assert (
        'sample_scores.csv will not be written: the validation pipeline '
        'packs no sample_id' in log.getvalue()
    )
    assert not (tmp_path / 'sample_scores.csv').exists()


def test_a_step_begins_and_ends_with_its_iteration():
    """Draws depend on the seed and the iteration, not on the process."""
    hook, keys = ReproducibilityHook(), []
    for rank in (0, 1):
        runner = SimpleNamespace(seed=3, iter=7, rank=rank)
        hook.before_train_iter(runner, 0)
        keys.append(step_key('partners'))
        hook.after_train_iter(runner, 0)
        assert step_key('partners') is None
    set_step(3, 7)
    assert keys == [step_key('partners')] * 2
