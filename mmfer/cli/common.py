"""Functions that the command-line tools share."""

import argparse
import os
import os.path as osp
import sys
import traceback
from contextlib import contextmanager, nullcontext
from typing import Any, Callable, Iterator, List, Optional

import torch
from mmengine.config import Config, ConfigDict
from mmengine.device import get_device
from mmengine.runner import Runner

from mmfer_command.closed_output import quiet_without_reader
from mmfer_command.shipped import (
    find_config,
    nearest_configs,
    shipped_folder,
    shipped_path,
)

from ..compat import cpu_process_group, keep_freed_memory, use_cpu_processes
from ..utils.collector import collector_paused, exempt_imports
from ..utils.console import WARNINGS
from ..utils.files import write_figure
from ..utils.full_disk import FULL, DiskFullError
from ..utils.progress import LINE
from ..utils.signals import DeferredSignals, Interrupted

with collector_paused():
    from ..engine import PreflightHook, ProvenanceHook, WorkDirHook
    from ..engine.initial_weights import check_recorded, init_suffix, start_from
    from ..engine.variants import derive, find_variant, renamed
    from ..engine.work_dir import config_of_earlier_run_kept
    from ..models.data_preprocessor import augments_batches
    from .checkpoints import checkpoint_loading
    from .config_errors import missing_in_worker, raised_by_mmfer
    from .console import make_runner
    from .reading import merge_options, read_config, refuse_stray_commas

EVALUATORS = ('val_evaluator', 'test_evaluator')
# Arguments of mmfer.engine.variants.derive after the config, as flags.
VARIANT_FLAGS = ('noise', 'clean', 'data', 'val_data', 'classes')
DATALOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')

# Default hooks of mmengine's runner, which a config switches off with None.
MMENGINE_HOOKS = (
    'runtime_info',
    'timer',
    'sampler_seed',
    'logger',
    'param_scheduler',
    'checkpoint',
)


def load_config(path: str, args: argparse.Namespace) -> Config:
    """Read a config and set the work dir and the launcher.

    The path may also be the name of a shipped config, see
    :func:`mmfer_command.shipped.find_config`.

    The work dir comes from the command line or else from the config. If neither
    states it, it is ``work_dirs/<name of the config>``.
    """
    found = find_config(path)
    if found is None:
        raise SystemExit(_no_config(path))
    path = found
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = read_config(path)
    try:
        cfg = derive(cfg, *(getattr(args, name, None) for name in VARIANT_FLAGS))
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(str(error)) from None
    if getattr(args, 'init', None):
        suffix = init_suffix(args.init)
        cfg = renamed(cfg, lambda stem: f'{stem}_{suffix}')
    cfg.launcher = args.launcher
    if args.launcher != 'none' and get_device() == 'cpu':
        if args.launcher != 'pytorch':
            raise SystemExit(
                f'--launcher {args.launcher}: on CPUs only the launcher '
                'pytorch (torchrun) is supported.'
            )
        use_cpu_processes(cfg)
    rank = int(os.environ['LOCAL_RANK'])
    if (
        args.launcher != 'none'
        and get_device() == 'cuda'
        and rank >= torch.cuda.device_count()
    ):
        raise SystemExit(
            f'--launcher {args.launcher}: there is no GPU for process {rank} '
            f'of this machine, which has {torch.cuda.device_count()} GPUs. Start as '
            'many processes as GPUs (--nproc-per-node), or set '
            'CUDA_VISIBLE_DEVICES= to train on CPUs.'
        )
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        # The file name of the config, which --noise and --clean extend.
        name = osp.basename(cfg.filename or path)
        cfg.work_dir = osp.join('work_dirs', osp.splitext(name)[0])
    return cfg


def _no_config(path: str) -> str:
    """Return the message for a config file that does not exist."""
    # A file of a checkout, or a shipped one.
    found = find_variant(path) or find_variant(str(shipped_path(path)))
    if found is not None:
        file, flags = found
        name = osp.splitext(osp.basename(path))[0]
        return (
            f'{path}: there is no such config. To train with these settings, run\n'
            f'    {_command(file, flags)}\n'
            'The run writes its whole config to '
            f'work_dirs/{name}/{name}.py. Give this file to other tools.'
        )
    near = nearest_configs(path)
    return (
        f'{path}: there is no such config. '
        + (f'The nearest names are {", ".join(near)}. ' if near else '')
        + 'Give the path of a file, or the name of a config that mmfer ships. These '
        f'are in {shipped_folder()}/configs/<method>/, and their names have the form '
        '{method}_{backbone}_{dataset}[_{noise}][_{schedule}].py'
    )


def _command(file: str, flags: List[str]) -> str:
    """Return the command line that trains a config with flags."""
    name = osp.splitext(osp.basename(file))[0]
    if osp.isabs(file) and osp.realpath(file) == str(shipped_path(name)):
        file = name
    return ' '.join(['mmfer train', file, *flags])


def load_training_config(path: str, args: argparse.Namespace) -> Config:
    """Read a training config and apply ``--amp``; see :func:`load_config`."""
    cfg = load_config(path, args)
    if args.amp:
        cfg.optim_wrapper.pop('loss_scale', None)
        cfg.optim_wrapper.update(
            type=own_name(cfg, 'AutocastOptimWrapper'), dtype='bfloat16'
        )
    return cfg


def own_name(cfg: Config, name: str, elsewhere: Optional[str] = None) -> str:
    """Return the name of a class of mmfer for a config, which may have another scope.

    Args:
        cfg (Config): The config.
        name (str): Registered name.
        elsewhere (str, optional): Name after ``mmfer.`` in other scopes. Defaults to
            ``name``.
    """
    if cfg.get('default_scope', 'mmfer') == 'mmfer':
        return name
    return f'mmfer.{elsewhere or name}'


def finish_config(
    cfg: Config, args: argparse.Namespace, persistent_workers: bool = True
) -> Config:
    """Add defaults of loaders and evaluators, and the ``--cfg-options``.

    Finally, this switches off settings that torch refuses (persistent workers
    without workers) or warns about (pinned memory without a GPU).
    """
    refuse_stray_commas(cfg)
    for name in DATALOADERS:
        if cfg.get(name) is not None:
            loader = ConfigDict(pin_memory=True, persistent_workers=persistent_workers)
            loader.update(cfg[name])
            if args.no_pin_memory:
                loader.pin_memory = False
            if not persistent_workers:
                loader.persistent_workers = False
            cfg[name] = loader
    if args.cfg_options is not None:
        merge_options(cfg, args.cfg_options)
    # mmengine accepts None only for its own hooks.
    for name, hook in list((cfg.get('default_hooks') or {}).items()):
        if hook is None and name not in MMENGINE_HOOKS:
            del cfg.default_hooks[name]
    # The options may have changed the model.
    model = dict(cfg.model)
    model.setdefault('data_preprocessor', cfg.get('data_preprocessor'))
    collate_fn = 'default_collate'
    if augments_batches(model):
        # mmengine finds no function of mmfer from another scope, except by its path.
        collate_fn = own_name(cfg, 'fer_collate', 'datasets.batches.fer_collate')
    for name in DATALOADERS:
        loader = cfg.get(name)
        if loader is not None:
            loader.setdefault('collate_fn', dict(type=collate_fn))
            loader.persistent_workers &= loader.get('num_workers', 0) > 0
            loader.pin_memory &= get_device() != 'cpu'
    for name in EVALUATORS:
        metrics = cfg.get(name)
        if metrics is not None and 'metrics' not in metrics:
            cfg[name] = dict(
                type=own_name(cfg, 'BatchEvaluator'),
                metrics=metrics if isinstance(metrics, list) else [metrics],
            )
    return cfg


def apply_init(cfg: Config, args: argparse.Namespace) -> str:
    """Start the networks of a config from the weights of ``--init``.

    Args:
        cfg (Config): Finished config, changed in place.
        args (argparse.Namespace): With ``init`` if the command has this flag.

    Returns:
        str: A line for the log; empty without ``--init``.

    Raises:
        SystemExit: The weights contain Python objects and are not trusted.
        FileNotFoundError, ValueError: See :func:`start_from`.
    """
    text = getattr(args, 'init', None)
    with checkpoint_loading(text, args.trust_checkpoint and text is not None):
        if text is None:
            check_recorded(cfg)
            return ''
        return start_from(cfg, text, args.cfg_options or ())


def build_runner(cfg: Config, verbose: bool = False) -> Runner:
    """Build the runner of a config, with checks before the first iteration.

    Args:
        cfg (Config): Config of the run.
        verbose (bool): Show the whole log on the console. Defaults to False.
    """
    if get_device() == 'cpu':
        keep_freed_memory()
    with config_of_earlier_run_kept():
        return with_preflight(make_runner(cfg, verbose))


def with_preflight(runner: Runner) -> Runner:
    """Add the hooks that protect a run to a runner without them.

    Configs of other projects, and those that mmfer 0.1 has written into work dirs, lack
    some of them.
    """
    for hook in (PreflightHook, WorkDirHook, ProvenanceHook):
        if not any(isinstance(other, hook) for other in runner.hooks):
            runner.register_hook(hook())
    return runner


def preflight_of(runner: Runner) -> Optional[PreflightHook]:
    """Return the :class:`PreflightHook` of a runner; None if it has none."""
    return next((h for h in runner.hooks if isinstance(h, PreflightHook)), None)


@contextmanager
def process_group(cfg: Config) -> Iterator[None]:
    """Join a process group on CPUs, because mmengine cannot start one there."""
    if cfg.launcher == 'none' or get_device() != 'cpu':
        yield
        return
    with cpu_process_group():
        yield


def save_figure(figure: Any, path: str) -> None:
    """Write a matplotlib figure, and print its path."""
    write_figure(figure, path)
    print(f'{path} is written.')


def run_tool(main: Callable[[], None]) -> None:
    """Call the main function of a tool, and show user errors without a traceback.

    These are OSError, ImportError and ValueError. Tools that train call
    :func:`run_training_tool`.

    Args:
        main (Callable): Function without arguments.
    """
    try:
        with quiet_without_reader():
            main()
    except (OSError, ImportError, ValueError) as error:
        raise SystemExit(describe_error(error)) from None


def describe_error(error: BaseException) -> str:
    """Return the message of an error; that of a full disk names the file."""
    if (
        isinstance(error, OSError)
        and error.errno in FULL
        and not isinstance(error, DiskFullError)
    ):
        # Some libraries do not say which file it was.
        return str(DiskFullError(str(error.filename or 'A file')))
    if _has_advice(error):
        if isinstance(error, torch.OutOfMemoryError):
            return (
                'the GPU has not enough memory for this batch. Use a smaller one '
                '(--cfg-options train_dataloader.batch_size=...), or --amp. '
                + str(error).partition('\n')[0]
            )
        assert isinstance(error, OSError)
        return (
            f'{error.filename}: {error.strerror}. Check that this path exists and that '
            'you may read and write there, or give another one.'
        )
    if missing_in_worker(error):
        return (
            f'{str(error).strip().splitlines()[-1]} (in a worker of the dataloader). '
            'Check the paths of the data set: data_root, data_prefix and its list.'
        )
    # The text of a KeyError is that of its key, in quotes.
    return str(error.args[0] if isinstance(error, KeyError) else error)


def _has_advice(error: BaseException) -> bool:
    """Return whether an error of a library has an explanation for users."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    # Python's own messages begin with the number of the error.
    return (
        isinstance(error, OSError)
        and (error.errno in FULL or error.filename is not None)
        and str(error).startswith('[Errno')
    )


def _asks_to_install(error: BaseException) -> bool:
    """Return whether OpenMMLab says which package an option needs, as tensorboard."""
    return (
        isinstance(error, ImportError)
        and not isinstance(error, ModuleNotFoundError)
        and 'pip install' in str(error)
    )


def run_training_tool(main: Callable[[], None], verbose: bool = False) -> None:
    """Call the main function of a tool that trains or tests.

    Errors that mmfer raises say what to do, so they are shown without a
    traceback. All other errors keep it, because it tells where the run failed.
    What is only printed ends if nobody reads it; a run that logs goes on.

    Args:
        main (Callable): Function without arguments.
        verbose (bool): Show the traceback of each error. Defaults to False.
    """
    exempt_imports()
    try:
        with (
            quiet_without_reader(),
            DeferredSignals(),
            nullcontext() if verbose else WARNINGS.taken(),
        ):
            main()
    except Interrupted as error:
        if not error.reported:
            print(
                f'{error.name}: ended. Finished checkpoints and stages of a cleaning '
                'are kept; the same command with --resume goes on from them.',
                file=sys.stderr,
            )
        raise
    except Exception as error:
        known = (
            _has_advice(error) or missing_in_worker(error) or _asks_to_install(error)
        )
        if not known and not raised_by_mmfer(error):
            raise
        if verbose:
            traceback.print_exception(error)
        raise SystemExit(describe_error(error)) from None
    finally:
        LINE.clear()
