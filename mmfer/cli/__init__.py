"""Command lines: what the tools and the command ``mmfer`` share.

Each module but `common` has the function ``run(args)`` of a sub-command of ``mmfer``.
The arguments, and the table of the sub-commands, are in ``mmfer_command``, which does
not import torch.
"""

from mmfer_command.arguments.common import add_runner_arguments, add_variant_arguments

from .checkpoints import check_checkpoint_file, checkpoint_loading, refuse_damaged
from .common import (
    DATALOADERS,
    EVALUATORS,
    apply_init,
    build_runner,
    finish_config,
    load_config,
    load_training_config,
    preflight_of,
    process_group,
    raised_by_mmfer,
    run_tool,
    run_training_tool,
    save_figure,
    with_preflight,
)

__all__ = [
    'DATALOADERS',
    'EVALUATORS',
    'add_runner_arguments',
    'add_variant_arguments',
    'apply_init',
    'build_runner',
    'check_checkpoint_file',
    'checkpoint_loading',
    'finish_config',
    'load_config',
    'load_training_config',
    'preflight_of',
    'process_group',
    'raised_by_mmfer',
    'refuse_damaged',
    'run_tool',
    'run_training_tool',
    'save_figure',
    'with_preflight',
]
