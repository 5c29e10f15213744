"""Short trainings that stop inside an epoch, for the tests of the loops."""

from helpers import Stop, assert_same_state, optimizer_state, results, tiny_config
from mmengine.hooks import Hook


class StopAfter(Hook):
    """Stop the training after an iteration, as a kill does."""

    # After the checkpoint is written.
    priority = 'LOWEST'

    def __init__(self, step):
        self.step = step

    def after_train_iter(self, runner, *args, **kwargs):
        if runner.iter + 1 == self.step:
            raise Stop


def config(folder, name='ce', workers=0, every=2, **options):
    """Return a config with six batches an epoch.

    Args:
        folder (Path): Work dir.
        name (str): Method.
        workers (int): Workers of the training loader.
        every (int, optional): Iterations between checkpoints inside an epoch.
        **options: Overrides, with ``__`` for dots.
    """
    loader = dict(
        train_dataloader__num_workers=workers,
        train_dataloader__persistent_workers=workers > 0,
        train_dataloader__batch_size=16,
        train_dataloader__collate_fn=dict(type='fer_collate'),
        default_hooks__checkpoint__save_iters=every,
    )
    return tiny_config(
        folder, f'{name}/{name}_r18_synthfaces_noise30', **{**loader, **options}
    )


def config_by_iterations(folder, sampler, iterations, workers=0, **options):
    """Return a config that is counted in iterations, six a pass.

    Args:
        folder (Path): Work dir.
        sampler (str): Type of the sampler.
        iterations (int): Length of the run.
        workers (int): Workers of the training loader.
        **options: Overrides, with ``__`` for dots.
    """
    cfg = config(folder, workers=workers, every=None)
    cfg.train_cfg = dict(by_epoch=False, max_iters=iterations, val_interval=30)
    cfg.train_dataloader.sampler = dict(type=sampler, shuffle=True)
    cfg.param_scheduler = []
    del cfg.default_hooks.summary
    cfg.log_processor = dict(by_epoch=False)
    cfg.merge_from_dict({k.replace('__', '.'): v for k, v in options.items()})
    return cfg


def assert_same_runs(whole, resumed, folder):
    """A run and a stopped and resumed one have the same results, bit for bit."""
    assert_same_state(whole.model.state_dict(), resumed.model.state_dict())
    assert_same_state(optimizer_state(whole), optimizer_state(resumed))
    assert results(folder / 'whole') == results(folder / 'parts')
