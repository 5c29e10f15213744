"""What every method must do: learn, and resume as if it had never been stopped.

``test_ddp.py`` has two processes, ``test_pretended_cuda.py`` a GPU, and
``test_configs.py`` a step of each config. All of them find new methods by themselves.
"""

from pathlib import Path

import pytest
import torch
from helpers import (
    CONFIGS,
    Stop,
    StopAfter,
    assert_same_state,
    begin_training,
    optimizer_state,
    shorten_schedules,
    tiny_config,
    train,
)
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner

from mmfer.methods import METHODS
from mmfer.models.sample_state import followers

# GAAVE cleans before another method; the game has tests of its own.
NAMES = [
    name
    for name in METHODS
    if Path(CONFIGS, name, f'{name}_r18_synthfaces_noise30.py').is_file()
]
# Further forms of a method, with more to resume.
FORMS = ['ltnet/ltnet_r18_synthfaces_multinoise', 'sop/sop_r18_synthfaces_noise30_plus']
# Regularisers that sixteen faces are too few for.
WEAKER = dict(dmue=dict(model__head__dropout=0.0))


def config(folder, name, **options):
    path = name if '/' in name else f'{name}/{name}_r18_synthfaces_noise30'
    cfg = shorten_schedules(tiny_config(folder, path, **options))
    if 'network1' in cfg.model:
        cfg.model.noise_model = dict(min_separation=None)
    for loader in ('train_dataloader', 'val_dataloader'):
        cfg[loader].collate_fn = dict(type='fer_collate')
    cfg.test_dataloader = cfg.val_dataloader
    return cfg


def batch_logits(model, batch):
    """Logits of each network, with the statistics of this batch."""
    inputs = model.data_preprocessor(batch, True)['inputs']
    with torch.no_grad():
        logits = model(inputs, mode='tensor')
    return logits if isinstance(logits, tuple) else (logits,)


@pytest.mark.parametrize('name', NAMES)
def test_overfits_a_batch(name, tmp_path):
    """Sixteen faces can be learned, with their wrong labels, by every network."""
    cfg = config(
        tmp_path, name, train_dataloader__batch_size=16, **WEAKER.get(name, {})
    )
    runner = Runner.from_cfg(cfg)
    torch.manual_seed(0)
    model = runner.model.train()
    begin_training(model)
    batch = next(iter(Runner.build_dataloader(cfg.train_dataloader)))
    labels = torch.cat([s.gt_label for s in batch['data_samples']])
    assert len(labels.unique()) >= 3
    wrapper = OptimWrapper(torch.optim.Adam(model.parameters(), 3e-3))
    for step in range(150):
        model.train_step(batch, wrapper)
        if step % 10 == 9 and all(
            (x.argmax(1) == labels).all() for x in batch_logits(model, batch)
        ):
            return
    shares = [
        (x.argmax(1) == labels).float().mean() for x in batch_logits(model, batch)
    ]
    pytest.fail(f'after 150 steps only {shares} of the batch is learned')


@pytest.mark.parametrize('name', NAMES + FORMS)
def test_resumes_inside_an_epoch(name, tmp_path):
    """In bfloat16, as ``--amp`` has it: weights, optimizer, tables and scores."""

    def run(folder, *hooks, **options):
        cfg = config(
            tmp_path / folder,
            name,
            optim_wrapper__dtype='bfloat16',
            train_cfg__max_epochs=2,
            param_scheduler__milestones=[1],
            default_hooks__checkpoint__save_iters=4,
            **options,
        )
        return train(cfg, *hooks)

    whole = run('whole')
    with pytest.raises(Stop):
        run('parts', StopAfter(5))
    resumed = run('parts', resume=True)
    assert_same_state(whole.model.state_dict(), resumed.model.state_dict())
    assert_same_state(optimizer_state(whole), optimizer_state(resumed))
    pairs = zip(followers(whole.model), followers(resumed.model), strict=True)
    for (_, part), (_, other) in pairs:
        assert_same_state(part.sample_state(), other.sample_state())
    tables = [
        (tmp_path / folder / 'sample_scores.csv').read_text()
        for folder in ('whole', 'parts')
    ]
    assert tables[0] == tables[1] and tables[0].count('\n') == 97
