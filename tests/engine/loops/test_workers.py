"""Workers of loaders end with the run, and nobody waits for them later."""

import multiprocessing
import time

import pytest
from helpers import Stop, train
from loop_helpers import StopAfter, config, config_by_iterations


def loaders(runner):
    return [runner.train_loop.dataloader, runner.val_loop.dataloader]


@pytest.mark.parametrize('by_epoch', [True, False])
def test_workers_end_with_the_run(tmp_path, by_epoch):
    """Left to the garbage collector, each of them would cost five seconds."""
    options = dict(
        val_dataloader__num_workers=1, val_dataloader__persistent_workers=True
    )
    if by_epoch:
        cfg = config(tmp_path, workers=1, **options)
    else:
        cfg = config_by_iterations(tmp_path, 'DefaultSampler', 8, 1, **options)
    before = set(multiprocessing.active_children())
    runner = train(cfg)
    assert all(loader.persistent_workers for loader in loaders(runner))
    assert [loader._iterator for loader in loaders(runner)] == [None, None]
    start = time.monotonic()
    for process in set(multiprocessing.active_children()) - before:
        process.join(4)
        assert not process.is_alive()
    assert time.monotonic() - start < 4
    # The loaders can be used again.
    assert len(list(loaders(runner)[1])) == len(loaders(runner)[1])


def test_workers_end_with_an_error(tmp_path):
    before = set(multiprocessing.active_children())
    with pytest.raises(Stop):
        train(config(tmp_path, workers=2), StopAfter(8))
    for process in set(multiprocessing.active_children()) - before:
        process.join(4)
        assert not process.is_alive()
