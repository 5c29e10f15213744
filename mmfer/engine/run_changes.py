"""Compare a run with the checkpoint that it resumes from, and name what differs."""

import json
import re
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

# Settings that a Runner reads. Other top-level names of a config are variables, such
# as train_pipeline, whose values stand in these settings, too.
RUNNER_SETTINGS = (
    'model',
    'train_dataloader',
    'val_dataloader',
    'test_dataloader',
    'train_cfg',
    'val_cfg',
    'test_cfg',
    'auto_scale_lr',
    'optim_wrapper',
    'param_scheduler',
    'val_evaluator',
    'test_evaluator',
    'default_hooks',
    'custom_hooks',
    'data_preprocessor',
    'randomness',
)

_STATE = 'no effect: the optimizer goes on with the value of the checkpoint'
# What mmengine does with a changed setting when it resumes.
NOTES = (
    (
        r'optim_wrapper\.(.*\.)?optimizer\.type',
        'the state of another optimizer is read',
    ),
    (r'optim_wrapper\.(.*\.)?(optimizer|paramwise_cfg)\..*', _STATE),
    (r'auto_scale_lr\..*', _STATE),
    (
        r'param_scheduler(\..*)?\.type',
        'the new schedule starts with the state of the old one',
    ),
    (r'param_scheduler(\..*)?', 'no effect: the schedule goes on as in the checkpoint'),
    (r'model\.(.*\.)?init_cfg(\..*)?', 'no effect: the checkpoint has the weights'),
    (
        r'randomness\.seed',
        'the order of the samples follows the new seed, the rest the old one',
    ),
)


class Change(NamedTuple):
    """One difference between a checkpoint and the run that resumes from it.

    Attributes:
        name (str): What differs, such as ``optim_wrapper.optimizer.lr``.
        before (str, optional): Value in the checkpoint; None if there was none.
        now (str, optional): Value of the run; None if there is none.
        note (str): What follows, or ''.
    """

    name: str
    before: Optional[str]
    now: Optional[str]
    note: str = ''

    def __str__(self) -> str:
        before, now = (
            '(not set)' if value is None else _short(value)
            for value in (self.before, self.now)
        )
        return f'{self.name}: {before} -> {now}{f" ({self.note})" if self.note else ""}'


def _short(text: str, length: int = 120) -> str:
    """Shorten a value for one line."""
    return text if len(text) <= length else f'{text[: length - 4]} ...'


# -- labels and data -----------------------------------------------------------
def changed_data(before: Dict[str, Any], now: Dict[str, Any]) -> List[Change]:
    """Return the differences in labels, images and decisions.

    Args:
        before (dict): Record of the checkpoint, see
            :func:`~mmfer.engine.run_record.describe_run`.
        now (dict): Record of the run.
    """
    changes = []
    for name, shown in (
        ('data', ('samples', 'first')),
        ('labels', ('noise', 'counts')),
        ('decisions', ('counts',)),
    ):
        old, new = before.get(name) or {}, now.get(name) or {}
        hashes = [
            tuple(side.get(key) for key in ('sha256', 'targets_sha256'))
            for side in (old, new)
        ]
        if hashes[0] == hashes[1]:
            continue
        found = [
            Change(_TITLES[name, key], _text(old.get(key)), _text(new.get(key)))
            for key in shown
            if old.get(key) != new.get(key)
        ]
        changes += found or [
            Change(_TITLES[name, ''], *(f'hash {str(h[0])[:12]}' for h in hashes))
        ]
    return changes


_TITLES = {
    ('data', ''): 'images (names, order or file sizes)',
    ('data', 'samples'): 'number of training samples',
    ('data', 'first'): 'first training image',
    ('labels', ''): 'labels',
    ('labels', 'noise'): 'planted noise',
    ('labels', 'counts'): 'labels per class',
    ('decisions', ''): 'decisions of the cleaning',
    ('decisions', 'counts'): 'decisions of the cleaning',
}


def _text(value: Any) -> Optional[str]:
    """Return a value of a record for people."""
    if value is None:
        return None
    if isinstance(value, list) and value and isinstance(value[0], str):
        return '; '.join(map(_describe_noise, value))
    return 'none' if value == [] else str(value)


def _describe_noise(manifest: str) -> str:
    """Return what a user has chosen of a manifest of planted noise."""
    values = json.loads(manifest)
    values = {**values, **(values.get('va_noise') or {})}
    shown = ('generator', 'requested_rate', 'parameters', 'seed')
    return ', '.join(f'{k}={values[k]}' for k in shown if k in values) or manifest


# -- settings ------------------------------------------------------------------
def changed_settings(before: Dict[str, str], now: Dict[str, str]) -> List[Change]:
    """Return the differences between flat settings, with their effect.

    Args:
        before (dict[str, str]): Settings of the checkpoint, see
            :func:`~mmfer.engine.run_record.flat_settings`.
        now (dict[str, str]): Settings of the run.
    """
    names = [
        name
        for name in [*before, *(name for name in now if name not in before)]
        if before.get(name) != now.get(name)
    ]
    read = [name for name in names if name.split('.')[0] in RUNNER_SETTINGS]
    return [
        Change(name, before.get(name), now.get(name), _note(name))
        for name in read or names
    ]


def _note(name: str) -> str:
    """Return what follows from another value of a setting."""
    return next((note for form, note in NOTES if re.fullmatch(form, name)), '')


def settings_of_data(changes: List[Change]) -> List[Change]:
    """Return those of some changes that choose samples and labels."""
    place = 'train_dataloader.dataset.'
    return [
        change
        for change in changes
        if change.name.startswith(place) and f'{place}pipeline.' not in change.name
    ]


def changed_circumstances(
    before: Dict[str, Any], now: Dict[str, Any], settings: List[Change]
) -> List[Change]:
    """Return the differences in circumstances that no setting names.

    Args:
        before (dict): Circumstances of the checkpoint.
        now (dict): Circumstances of the run.
        settings (list[Change]): Settings that differ.
    """
    named = {change.name for change in settings}
    twice = dict(
        batch_size='train_dataloader.batch_size',
        accumulation='optim_wrapper.accumulative_counts',
    )
    changes = []
    for (name, old), (_, new) in zip(_pairs(before, now), _pairs(now, before)):
        if old != new and twice.get(name) not in named:
            changes.append(
                Change(
                    name,
                    None if old is None else str(old),
                    None if new is None else str(new),
                )
            )
    return changes


def _pairs(values: Dict[str, Any], others: Dict[str, Any]) -> List[Tuple[str, Any]]:
    """Return names and values, in an order that is the same for both sides."""
    flat, other = (
        {
            **{k: v for k, v in side.items() if k != 'versions'},
            **{f'version of {k}': v for k, v in (side.get('versions') or {}).items()},
        }
        for side in (values, others)
    )
    return [(name, flat.get(name)) for name in sorted({*flat, *other})]


# -- messages ------------------------------------------------------------------
def refusal(path: str, changes: List[Change]) -> str:
    """Return the message that refuses other labels or data.

    Args:
        path (str): The checkpoint.
        changes (list[Change]): See :func:`changed_data`.
    """
    lines = '\n  '.join(map(str, changes))
    return (
        f'{path} was trained on other labels or images (checkpoint -> now):\n  '
        f'{lines}\n'
        'A run that changes them halfway has a result of neither. To go on with that '
        'run, restore its data and its settings. To train on the new ones, start a run '
        'in another --work-dir without --resume; it may begin with these weights '
        f'(--cfg-options load_from={path}). To go on all the same, set '
        'default_hooks.provenance.strict=False; summary.json then lists which epochs '
        'had which labels.'
    )


def warning(path: str, changes: List[Change]) -> str:
    """Return the warning that names changed settings, one per line.

    Args:
        path (str): The checkpoint.
        changes (list[Change]): Settings and circumstances that differ.
    """
    lines = '\n  '.join(map(str, changes))
    text = (
        f'{path} was trained with other settings (checkpoint -> now):\n  {lines}\n'
        'summary.json will list which epochs were trained with which.'
    )
    if any('no effect' in change.note for change in changes):
        text += (
            ' To use the values without effect, start a run from these weights in '
            f'another --work-dir: --cfg-options load_from={path}, without --resume.'
        )
    return text
