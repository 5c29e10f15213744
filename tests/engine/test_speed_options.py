"""Options that make a run faster compute what the run without them does."""

import pytest
import torch
import torch.nn as nn
from helpers import Stop, StopAt, assert_same_state, optimizer_state, tiny_config, train
from mmengine.hooks import Hook

from mmfer.engine.hooks.compile import without_hooks

ALUM = 'alum/alum_r18_synthfaces_noise30'


class Losses(Hook):
    """Loss of each step."""

    priority = 'LOWEST'

    def __init__(self):
        self.values = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.values.append(outputs['loss'].detach().double())


def losses(folder, name, epochs=1, **options):
    """Run a config for a few steps; return the runner and its losses."""
    record = Losses()
    cfg = tiny_config(
        folder,
        name,
        train_cfg__max_epochs=epochs,
        val_cfg=None,
        val_dataloader=None,
        val_evaluator=None,
        **options,
    )
    cfg.test_dataloader = cfg.test_cfg = cfg.test_evaluator = None
    return train(cfg, record), torch.stack(record.values)


@pytest.mark.parametrize('name', ['ce/ce_r18_synthfaces', ALUM])
def test_fused_optimizer(tmp_path, name):
    """The same steps up to rounding, on a CPU too."""
    runner, plain = losses(tmp_path / 'a', name)
    assert not runner.optim_wrapper.optimizer.defaults['fused']
    runner, fused = losses(tmp_path / 'b', name, optim_wrapper__optimizer__fused=True)
    assert runner.optim_wrapper.optimizer.defaults['fused']
    assert torch.equal(plain[0], fused[0])
    assert torch.allclose(plain, fused, rtol=1e-3)


def test_fused_optimizer_resumes(tmp_path):
    """Its counts of steps are elsewhere; the result is the same, bit for bit."""

    def config(folder, **options):
        return tiny_config(
            tmp_path / folder,
            'ce/ce_r18_synthfaces',
            train_cfg__max_epochs=2,
            optim_wrapper__optimizer__fused=True,
            **options,
        )

    whole = train(config('whole'))
    with pytest.raises(Stop):
        train(config('parts'), StopAt('before_train_epoch', 1))
    resumed = train(config('parts', resume=True))
    assert_same_state(whole.model.state_dict(), resumed.model.state_dict())
    assert_same_state(optimizer_state(whole), optimizer_state(resumed))


@pytest.mark.parametrize('bound', [1e-3, 1e3])
def test_clipping(tmp_path, bound):
    """The wrapper clips and logs as mmengine's does, bit for bit."""
    runs = {}
    for wrapper in ('OptimWrapper', 'AutocastOptimWrapper'):
        options = {'optim_wrapper__clip_grad': dict(max_norm=bound)}
        cfg = tiny_config(tmp_path / wrapper, train_cfg__max_epochs=1, **options)
        cfg.optim_wrapper.type = wrapper
        if wrapper == 'OptimWrapper':
            del cfg.optim_wrapper['dtype']
        runs[wrapper] = train(cfg)
    first, second = runs.values()
    assert_same_state(first.model.state_dict(), second.model.state_dict())
    norms = [
        run.message_hub.get_scalar('train/grad_norm').data for run in (first, second)
    ]
    assert len(norms[0][0]) == 3 and (norms[0][0] > 0).all()
    for a, b in zip(*norms, strict=True):
        assert (a == b).all()


def test_clipping_by_value(tmp_path):
    """There is no norm to log."""
    cfg = tiny_config(tmp_path, train_cfg__max_epochs=1)
    cfg.optim_wrapper.clip_grad = dict(type='value', clip_value=1e-6)
    runner = train(cfg)
    assert 'train/grad_value' not in runner.message_hub.log_scalars
    gradients = [p.grad for p in runner.model.parameters() if p.grad is not None]
    assert all(g.abs().max() <= 1e-6 for g in gradients)


# -- torch.compile ----------------------------------------------------------------
def test_parts_without_hooks():
    block = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    other = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    stage = nn.Sequential(block, nn.ReLU())
    backbone = nn.Sequential(nn.Linear(2, 2), stage, other)
    assert list(without_hooks(backbone)) == [backbone]
    stage.register_forward_hook(lambda *args: None)
    assert list(without_hooks(backbone)) == [block, other]
    other[0].register_forward_pre_hook(lambda *args: None)
    assert list(without_hooks(backbone)) == [block]


@pytest.mark.slow
@pytest.mark.parametrize(
    'name', ['ce/ce_r18_synthfaces', ALUM, 'resup/resup_r18_synthfaces_noise30']
)
def test_compiled_graphs(tmp_path, name):
    """What torch.compile captures computes the same numbers, bit for bit."""
    torch._dynamo.reset()
    _, plain = losses(tmp_path / 'a', name, epochs=2)
    torch._dynamo.utils.counters.clear()
    runner, compiled = losses(
        tmp_path / 'b',
        name,
        epochs=2,
        default_hooks__compile=dict(type='CompileHook', backend='eager'),
    )
    assert torch.equal(plain, compiled)
    found = torch._dynamo.utils.counters
    assert found['stats']['unique_graphs'] > 0 and not found['graph_break']
    assert found['frames']['ok'] == found['frames']['total']
    # Checkpoints keep their names.
    assert not any('_orig_mod' in key for key in runner.model.state_dict())


@pytest.mark.slow
def test_compiled_code(tmp_path):
    """Code of inductor rounds differently, which each step amplifies."""
    _, plain = losses(tmp_path / 'a', ALUM)
    _, compiled = losses(
        tmp_path / 'b', ALUM, default_hooks__compile=dict(type='CompileHook')
    )
    assert torch.allclose(plain[0], compiled[0], rtol=1e-5)
    assert torch.allclose(plain, compiled, rtol=1e-2)


def test_model_without_backbone(tmp_path):
    """The message says what to remove."""
    cfg = tiny_config(
        tmp_path,
        'ce/ce_r18_synthfaces',
        default_hooks__compile=dict(type='CompileHook'),
    )
    cfg.train_cfg.max_epochs = 1

    class Rename(Hook):
        priority = 'VERY_HIGH'

        def before_train(self, runner):
            runner.model.trunk = runner.model.backbone
            del runner.model.backbone

    with pytest.raises(ValueError, match='CompileHook.*FERClassifier has none'):
        train(cfg, Rename())
