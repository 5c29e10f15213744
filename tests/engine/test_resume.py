"""A resumed run ends like an uninterrupted one."""

import pytest
import torch
from helpers import (
    Stop,
    StopAt,
    assert_same_state,
    optimizer_state,
    results,
    tiny_config,
    train,
)


@pytest.mark.parametrize(
    'name, point, epoch, workers',
    [
        ('ce', 'before_train_epoch', 1, 0),
        ('rul', 'before_train_epoch', 2, 0),
        ('alum', 'before_train_epoch', 1, 0),
        ('alum', 'before_val_epoch', 2, 0),
        ('alum', 'before_train_epoch', 2, 2),
    ],
)
def test_resume_is_identical(tmp_path, name, point, epoch, workers):
    config = f'{name}/{name}_r18_synthfaces_noise30'
    loader = dict(
        train_dataloader__num_workers=workers,
        train_dataloader__persistent_workers=workers > 0,
    )
    whole = train(tiny_config(tmp_path / 'whole', config, **loader))
    cfg = tiny_config(tmp_path / 'parts', config, **loader)
    with pytest.raises(Stop):
        train(cfg, StopAt(point, epoch))
    cfg = tiny_config(tmp_path / 'parts', config, resume=True, **loader)
    resumed = train(cfg)
    assert_same_state(whole.model.state_dict(), resumed.model.state_dict())
    assert_same_state(optimizer_state(whole), optimizer_state(resumed))
    whole_results = results(tmp_path / 'whole')
    resumed_results = results(tmp_path / 'parts')
    assert whole_results == resumed_results
    assert [e['epoch'] for e in whole_results[0]] == [1, 2, 3]
    assert all('metrics' in e for e in resumed_results[0])


def test_one_cycle_survives_resume(tmp_path):
    """The state of mmengine's OneCycleLR contains a function."""
    schedule = dict(
        type='OneCycleLR', eta_max=0.05, total_steps=3, convert_to_iter_based=True
    )

    def config(folder, **options):
        return tiny_config(tmp_path / folder, param_scheduler=[schedule], **options)

    whole = train(config('whole'))
    with pytest.raises(Stop):
        train(config('parts'), StopAt('before_train_epoch', 1))
    resumed = train(config('parts', resume=True))
    assert_same_state(whole.model.state_dict(), resumed.model.state_dict())
    assert_same_state(optimizer_state(whole), optimizer_state(resumed))


def test_seed_and_workers(tmp_path):
    """The number of workers changes nothing; the seed does."""
    first = train(tiny_config(tmp_path / 'a', train_cfg__max_epochs=1))
    second = train(
        tiny_config(
            tmp_path / 'b',
            train_cfg__max_epochs=1,
            train_dataloader__num_workers=2,
            train_dataloader__persistent_workers=True,
        )
    )
    third = train(
        tiny_config(tmp_path / 'c', train_cfg__max_epochs=1, randomness__seed=1)
    )
    assert_same_state(first.model.state_dict(), second.model.state_dict())
    assert not torch.equal(first.model.head.fc.weight, third.model.head.fc.weight)


def test_relabelling_survives_resume(tmp_path):
    hook = dict(type='RelabelHook', start_epoch=1, fraction=1.0, threshold=-1e-9)

    def config(folder, **options):
        return tiny_config(tmp_path / folder, custom_hooks=[hook], **options)

    whole = train(config('whole'))
    with pytest.raises(Stop):
        train(config('parts'), StopAt('before_train_epoch', 2))
    resumed = train(config('parts', resume=True))
    labels = [r.train_dataloader.dataset.get_gt_labels() for r in (whole, resumed)]
    assert (labels[0] == labels[1]).all()
    assert (labels[0] != whole.train_dataloader.dataset.given_labels).any()
    assert_same_state(whole.model.state_dict(), resumed.model.state_dict())
