"""Check the settings of planned runs before the first one starts."""

import logging
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner

from ..analysis.benchmarks.training_runs import PlannedRun
from ..datasets import FERDataset
from ..registry import DATASETS, HOOKS, LOOPS, MODELS
from .config_errors import ConfigError, config_errors, near, option_names

# Settings that mmengine reads although Runner has no argument of this name.
READ_ELSEWHERE = ('auto_scale_lr', 'compile', 'custom_imports', 'model_wrapper_cfg')


def unbuildable(runs: Sequence[PlannedRun]) -> List[str]:
    """Return a message for each config that a run would refuse, with its overrides.

    Models are built without their pretrained weights, and no image is read.

    Args:
        runs (Sequence[PlannedRun]): Planned runs whose configs can be read.
    """
    init_default_scope('mmfer')
    found: Dict[Tuple[str, ...], str] = {}
    for run in runs:
        key = (run.config, *run.flags, *run.options)
        if key not in found:
            error = _refusal(run, [text.partition('=')[0] for text in run.options])
            found[key] = f'{run.row}: {error}' if error else ''
    return [message for message in found.values() if message]


def _refusal(run: PlannedRun, options: Sequence[str]) -> str:
    """Return why a run would be refused; empty if it would not."""
    try:
        with _no_log():
            _build_parts(run.settings, options)
    # Any error of a constructor refuses the value.
    except Exception as error:
        return str(error) or type(error).__name__
    return ''


def refused(runs: Sequence[PlannedRun], option: str) -> List[str]:
    """Return a message for each value of an option that a run would refuse.

    Models are built without their pretrained weights, and no image is read.

    Args:
        runs (Sequence[PlannedRun]): Planned runs that differ in the option.
        option (str): The option, as in ``--cfg-options``.
    """
    init_default_scope('mmfer')
    unread = _not_read(runs[0], option)
    if unread is not None:
        return [unread]
    found: Dict[str, str] = {}
    for run in runs:
        if run.row not in found:
            text = _refusal(run, [option]).rpartition('` because ')[2]
            text = text.removeprefix(f'--cfg-options {option}: ')
            found[run.row] = f'{run.options[-1]}: {text}' if text else ''
    return [message for message in found.values() if message]


def _not_read(run: PlannedRun, option: str) -> Optional[str]:
    """Return a message if nothing reads an option, whatever its value.

    Args:
        run (PlannedRun): A planned run.
        option (str): The option, as in ``--cfg-options``.
    """
    part = option.partition('.')[0]
    base = run._replace(options=run.options[:-1]).settings
    known = {*base, *option_names(Runner), *READ_ELSEWHERE}
    if part in known:
        return None
    return (
        f'--option {option}: nothing reads {part!r}, so all values would give the same '
        f'results{near(part, sorted(known))}'
    )


@contextmanager
def _no_log() -> Iterator[None]:
    """Log nothing, because each run will log the same again."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _build_parts(cfg: Config, options: Sequence[str]) -> None:
    """Build what can be built without data, and check the names of other options."""
    with config_errors(cfg, dict.fromkeys(options)):
        model = dict(cfg.model)
        model.setdefault('data_preprocessor', cfg.get('data_preprocessor'))
        built = MODELS.build(model)
        build_optim_wrapper(built, cfg.optim_wrapper.copy())
        for hook in cfg.get('custom_hooks') or []:
            HOOKS.build(hook)
        for name in ('train_dataloader', 'val_dataloader'):
            dataset = cfg[name].dataset
            found = DATASETS.get(dataset.type)
            if isinstance(found, type) and issubclass(found, FERDataset):
                DATASETS.build(dict(dataset, lazy_init=True))
    _check_loop(cfg.train_cfg)


def _check_loop(train_cfg: Dict[str, Any]) -> None:
    """Raise a ConfigError for an option that the training loop does not have."""
    if 'type' in train_cfg:
        loop = LOOPS.get(train_cfg['type'])
    else:
        by_epoch = train_cfg.get('by_epoch', True)
        loop = EpochBasedTrainLoop if by_epoch else IterBasedTrainLoop
    known = option_names(loop)
    for name in set(train_cfg) - {'type', 'by_epoch', *known}:
        raise ConfigError(
            f'train_cfg: {loop.__name__} has no option {name!r}{near(name, known)}'
        )
