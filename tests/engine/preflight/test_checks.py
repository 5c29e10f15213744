"""Contradictory settings are refused before the first iteration."""

import copy
import json
import os

import numpy as np
import pytest
import torch
from helpers import tiny_config, train
from mmengine.hooks import Hook
from mmengine.registry import DATA_SAMPLERS
from mmengine.runner import Runner
from torch.utils.data import BatchSampler

from mmfer.cli import preflight_of, run_training_tool, with_preflight
from mmfer.datasets import SyntheticFaces
from mmfer.datasets.synthetic_faces import EXPRESSIONS
from mmfer.engine import PreflightHook
from mmfer.engine.preflight import PreflightError, build_fitting_loop
from mmfer.methods.gaave import LabelDecisions


def small(tmp_path, **options):
    return tiny_config(
        tmp_path,
        'ce/ce_r18_synthfaces',
        **{
            'train_dataloader__dataset__num_samples': 64,
            'val_dataloader__dataset__num_samples': 14,
            'train_cfg__max_epochs': 1,
            **options,
        },
    )


TURNED = dict(classes=EXPRESSIONS[::-1])


@pytest.mark.parametrize(
    'options, said',
    [
        (dict(train_dataloader__dataset__num_samples=20), '20 < 32'),
        (
            dict(val_dataloader__drop_last=True, val_dataloader__batch_size=64),
            'val_dataloader has 14 samples, fewer than one batch of 64',
        ),
        (dict(data_preprocessor__num_classes=3), 'data_preprocessor.num_classes=7'),
        (dict(data_preprocessor__num_classes=10), '7 classes, .* has 10 outputs'),
        (dict(model__head__num_classes=5), 'Set model.head.num_classes=7'),
        (
            dict(val_dataloader__dataset__metainfo=TURNED),
            f"label 0 is '{EXPRESSIONS[-1]}' in val_dataloader",
        ),
        (
            dict(data_preprocessor__input_shape=(1, 36, 36)),
            r'\(1, 32, 32\).*input_shape is \(1, 36, 36\)',
        ),
        (
            dict(
                train_cfg=dict(
                    _delete_=True,
                    type='IterBasedTrainLoop',
                    max_iters=7,
                    val_interval=3,
                ),
                param_scheduler=None,
            ),
            'max_epochs=4, val_interval=1.* which is 8 iterations instead of 7',
        ),
    ],
)
def test_refused(options, said, tmp_path):
    """Refused before anything is trained, also with further hooks."""
    cfg = small(tmp_path, custom_hooks=[dict(type='EMAHook')], **options)
    with pytest.raises(PreflightError, match=said):
        Runner.from_cfg(cfg).train()
    assert not os.path.exists(tmp_path / 'history.json')


def test_test_data_of_other_classes_are_refused_in_training(tmp_path):
    cfg = small(tmp_path)
    cfg.test_dataloader = copy.deepcopy(cfg.val_dataloader)
    cfg.test_dataloader.dataset.metainfo = TURNED
    with pytest.raises(PreflightError, match='test_dataloader and train'):
        Runner.from_cfg(cfg).train()


@pytest.mark.parametrize('collate', ['default_collate', 'pseudo_collate'])
def test_images_of_different_sizes(collate, tmp_path):
    """mmpretrain pads lists of images, and cannot stack them."""
    runner = Runner.from_cfg(
        small(
            tmp_path,
            **{
                f'{name}_dataloader__collate_fn__type': collate
                for name in ('train', 'val')
            },
        )
    )
    runner.cfg.data_preprocessor.pop('input_shape')
    steps = runner.train_dataloader.dataset.pipeline.transforms
    steps[-2] = RandomSize()
    if collate == 'pseudo_collate':
        preflight_of(runner).check_training(runner)
        return
    with pytest.raises(PreflightError, match='images of different sizes'):
        preflight_of(runner).check_training(runner)


class RandomSize:
    calls = 0

    def __call__(self, results):
        self.calls += 1
        results['img'] = results['img'][self.calls % 5 :]
        return results


def test_crops_without_a_resize(tmp_path):
    """All errors are reported at once."""
    cfg = small(
        tmp_path,
        train_dataloader__dataset__size=80,
        val_dataloader__dataset__size=80,
        data_preprocessor__num_classes=3,
    )
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.dataset.pipeline = [
            s for s in loader.dataset.pipeline if s.type != 'Resize'
        ]
    with pytest.raises(PreflightError) as caught:
        Runner.from_cfg(cfg).train()
    lines = str(caught.value).splitlines()
    assert [line.split(' ')[0] for line in lines] == [
        'train_dataloader:',
        'val_dataloader:',
        'train_dataloader',
    ]
    assert 'crops 32 of the 32 images' in lines[0]
    assert 'crops 14 of the 14 images' in lines[1]
    assert '16% is left' in lines[0] and 'scale=(36, 36)' in lines[0]


def test_parts_of_other_classes(tmp_path):
    """mmengine refuses them, but does not name the difference."""
    cfg = small(tmp_path)
    part = dict(cfg.train_dataloader.dataset)
    joined = dict(type='ConcatDataset', datasets=[part, dict(part, metainfo=TURNED)])
    for options in (dict(), dict(ignore_keys=['classes'])):
        cfg.train_dataloader.dataset = dict(joined, **options)
        runner = Runner.from_cfg(cfg)
        with pytest.raises(PreflightError, match=r'\(part 1\).*label 0 is'):
            preflight_of(runner).check_training(runner)


def test_tools_add_the_hook_and_say_one_sentence(tmp_path):
    cfg = small(tmp_path, train_dataloader__dataset__num_samples=20)
    # The check comes before the schedule, which cannot be built without a
    # batch.
    cfg.param_scheduler = dict(
        type='OneCycleLR', eta_max=0.1, total_steps=1, convert_to_iter_based=True
    )
    del cfg.default_hooks['preflight']
    runner = Runner.from_cfg(cfg)
    assert preflight_of(runner) is None
    hook = preflight_of(with_preflight(runner))
    assert isinstance(hook, PreflightHook)
    assert preflight_of(with_preflight(runner)) is hook
    with pytest.raises(SystemExit, match='^train_dataloader has 20 samples'):
        run_training_tool(lambda: hook.check_training(runner))


def test_nothing_is_changed_by_the_checks(tmp_path):
    """Checks do not change the weights after a training, bit for bit."""
    with_checks = train(small(tmp_path / 'with'))
    cfg = small(tmp_path / 'without')
    del cfg.default_hooks['preflight']
    without = train(cfg)
    for one, other in zip(
        with_checks.model.parameters(), without.model.parameters(), strict=True
    ):
        assert torch.equal(one, other)
    # A second run of the same runner is checked as well.
    cfg = small(tmp_path / 'test', load_from=str(tmp_path / 'with/epoch_1.pth'))
    cfg.test_dataloader.dataset.metainfo = TURNED
    runner = Runner.from_cfg(cfg)
    with pytest.raises(PreflightError, match='test_dataloader and the check'):
        runner.test()
    resumed = small(
        tmp_path / 'resumed', resume=True, load_from=str(tmp_path / 'with/epoch_1.pth')
    )
    for name in ('train', 'val', 'test'):
        resumed[f'{name}_dataloader'].dataset.metainfo = TURNED
    with pytest.raises(PreflightError, match='train_dataloader and the check'):
        Runner.from_cfg(resumed).train()


# -- data sets that a cleaning has made smaller ------------------------------
def decide(dataset, dropped):
    """A cleaning that drops the samples of a mask."""
    ids = np.sort(dataset.sample_ids)
    labels = dataset.given_labels[ids]
    zeros = np.zeros(len(ids))
    return LabelDecisions(
        sample_id=ids,
        given_label=labels,
        subset=zeros,
        attack_steps=zeros,
        given_probability=zeros,
        candidate=dropped(ids, labels),
        suggested_label=labels,
        decision=np.where(dropped(ids, labels), 'drop', 'keep'),
        noise_score=zeros,
    )


@pytest.fixture
def cleaned(tmp_path, monkeypatch):
    """Train after a cleaning that takes no time."""
    monkeypatch.setattr('mmfer.methods.gaave.hook.write_report', lambda *args: None)

    def run(dropped, name='ce/ce_r18_synthfaces', **options):
        cfg = tiny_config(
            tmp_path,
            name,
            train_cfg__max_epochs=1,
            train_dataloader__dataset__num_samples=64,
            val_dataloader__dataset__num_samples=14,
            custom_hooks=[dict(type='GAAVEHook')],
            **options,
        )
        runner = Runner.from_cfg(cfg)
        hook = next(h for h in runner.hooks if hasattr(h, 'method'))
        hook.method = Cleaner(dropped)
        runner.train()
        return runner, json.loads((tmp_path / 'history.json').read_text())

    return run


class Cleaner:
    base = None

    def __init__(self, dropped):
        self.dropped = dropped

    def __call__(self, cfg, dataset, *args):
        return decide(dataset, self.dropped), {}


def test_few_samples_are_left(cleaned):
    """The batch becomes smaller, so that hours of cleaning are not lost."""
    runner, (epoch,) = cleaned(lambda ids, labels: ids >= 20)
    assert runner.train_dataloader.batch_size == epoch['images'] == 20


def test_a_batch_of_one_is_left(cleaned):
    runner, (epoch,) = cleaned(
        lambda ids, labels: ids >= 33,
        'alum/alum_r18_synthfaces',
        train_dataloader__batch_size=8,
        train_dataloader__drop_last=False,
    )
    assert runner.train_dataloader.drop_last and epoch['images'] == 32


def test_decisions_that_leave_one_class(tmp_path, monkeypatch):
    cfg = small(tmp_path, train_dataloader__batch_size=4)
    labels = SyntheticFaces(num_samples=64, size=36).given_labels
    rows = ['sample_id,image,given_label,noise_score,suggested_label,decision']
    rows += [
        f'{i},synthfaces/train/{i:06d}.png,{label},0,{label},'
        f'{"keep" if label == 2 else "drop"}'
        for i, label in enumerate(labels)
    ]
    path = tmp_path / 'scores.csv'
    path.write_text('\n'.join(rows) + '\n')
    cfg.train_dataloader.dataset.decisions = str(path)
    said = []
    monkeypatch.setattr(
        'mmfer.engine.preflight.findings.print_log',
        lambda text, *args, **kwargs: said.append(text),
    )
    runner = Runner.from_cfg(cfg)
    preflight_of(runner).check_training(runner)
    (text,) = said
    assert f'of {EXPRESSIONS[2]} only after {path} has dropped' in text


def test_other_hooks_that_drop_samples(tmp_path):
    """The remaining samples are checked before training on them."""

    class Drop(Hook):
        def before_run(self, runner):
            cfg = dict(runner.cfg.train_dataloader)
            cfg['dataset'] = dict(cfg['dataset'], indices=20)
            runner._train_dataloader = cfg
            runner._train_loop = runner.build_train_loop(runner.cfg.train_cfg)

    with pytest.raises(PreflightError, match='20 < 32'):
        train(small(tmp_path), Drop())


def test_fitting_loop_leaves_what_fits(tmp_path):
    runner = Runner.from_cfg(small(tmp_path))
    build_fitting_loop(runner, runner.cfg.train_dataloader, runner.cfg.train_cfg, 'x')
    assert runner.train_dataloader.batch_size == 32
    assert len(runner.train_dataloader) == 2


def test_fitting_loop_leaves_batch_samplers_alone(tmp_path):
    """They state no batch size that could be compared."""
    cfg = small(tmp_path)
    cfg.train_dataloader.batch_sampler = dict(type='BatchSampler', drop_last=True)
    cfg.train_dataloader.pop('drop_last', None)
    DATA_SAMPLERS.register_module(module=BatchSampler, force=True)
    try:
        runner = Runner.from_cfg(cfg)
        build_fitting_loop(
            runner, runner.cfg.train_dataloader, runner.cfg.train_cfg, 'x'
        )
    finally:
        DATA_SAMPLERS.module_dict.pop('BatchSampler')
    assert len(runner.train_dataloader) == 2


def test_what_is_meant_is_only_logged(tmp_path, monkeypatch):
    """``strict=False`` allows a crop that leaves little of a photo."""
    said = []
    monkeypatch.setattr(
        'mmfer.engine.preflight.findings.print_log',
        lambda text, *args, **kwargs: said.append(text),
    )
    cfg = small(tmp_path)
    for name in ('train', 'val', 'test'):
        dataset = cfg[f'{name}_dataloader'].dataset
        dataset.size = 72
        dataset.pipeline = [step for step in dataset.pipeline if step.type != 'Resize']
    runner = Runner.from_cfg(cfg)
    with pytest.raises(PreflightError, match='preflight.strict=False'):
        preflight_of(runner).check_training(runner)
    assert not said
    cfg.default_hooks.preflight.strict = False
    train(cfg)
    assert sum('without resizing' in text for text in said) == 2
