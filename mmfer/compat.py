"""Work-arounds for dependencies.

Everything here exists because a released dependency behaves in a way that mmfer
cannot accept. The comment above each work-around says when it can be removed.
``tests/test_compat.py`` has a test for each that fails when it is no longer
needed, where that can be tested.
"""

import ctypes
import gc
import importlib
import logging
import warnings
from contextlib import contextmanager
from functools import partial, wraps
from inspect import isroutine
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Optional, Tuple, Union

import mmengine.logging
import numpy as np
import torch
import torch.nn as nn
from mmengine.config import Config
from mmengine.config import config as config_module
from mmengine.fileio import LocalBackend, register_backend
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader
from mmengine.runner import checkpoint as checkpoint_module
from mmengine.utils import ManagerMixin, digit_version

from mmfer.utils.files import write_atomic
from mmfer.utils.safe_pickle.loaders import TRUSTED, load_checked, load_local, load_url
from mmfer_command.shipped import nearest_configs, shipped_folder, shipped_path

# There are no upper bounds: they would break mmfer on the day a dependency is
# released, whether or not anything relevant has changed.
MINIMUM_VERSIONS = dict(mmengine='0.10.4', mmpretrain='1.2.0', mmcv='2.0.0')

# Constants of glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


# ---------------------------------------------------------------------------
# The wheel cannot require mmcv or mmcv-lite, which overwrite each other, and the
# maintained fork of OpenMMLab is installed without pip's resolver. So versions are
# checked here; ``mmfer.utils.installed`` has checked what is there. Can be removed
# when pip can choose one of several packages.
# ---------------------------------------------------------------------------
def check_dependencies() -> None:
    """Raise a clear error if an OpenMMLab package is too old.

    Raises:
        ImportError: With what to install.
    """
    # mmcv-lite warns about a layer of detectors, which mmfer does not use.
    warnings.filterwarnings(
        'ignore', 'Fail to import ``MultiScaleDeformableAttention``'
    )
    for name, minimum in MINIMUM_VERSIONS.items():
        version = importlib.import_module(name).__version__
        if digit_version(version) < digit_version(minimum):
            raise ImportError(
                f'mmfer needs {name}>={minimum}, found {version}: '
                f'`pip install -U "{name}>={minimum}"`.'
            )


# ---------------------------------------------------------------------------
# torch >= 2.6 loads with weights_only=True, and mmengine 0.10 pickles its message
# hub into every checkpoint. Can be removed when mmengine stores plain types.
# ---------------------------------------------------------------------------
def to_plain(value: Any) -> Any:
    """Turn ``value`` into types that a ``weights_only`` load accepts.

    - A :class:`HistoryBuffer` becomes a tagged dict of two tensors.
    - Numpy arrays become tensors, numpy scalars Python numbers.
    - Functions in dicts are dropped. OneCycleLR has one in its state, but
      gets it from its config anyway.
    - Unknown objects become their ``repr``. A checkpoint that cannot be
      loaded safely is worse than one that lacks an entry of the message hub.
    """
    if isinstance(value, HistoryBuffer):
        log, count = value.data
        return dict(
            history_buffer=True,
            log=torch.as_tensor(np.asarray(log, dtype=np.float64)),
            count=torch.as_tensor(np.asarray(count, dtype=np.float64)),
            max_length=value.max_length,
        )
    if isinstance(value, dict):
        return {
            key: to_plain(item) for key, item in value.items() if not isroutine(item)
        }
    if isinstance(value, (list, tuple)):
        return type(value)(to_plain(item) for item in value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return torch.as_tensor(value) if value.dtype.kind in 'biuf' else value.tolist()
    if value is None or isinstance(value, (bool, int, float, str, torch.Tensor)):
        return value
    return repr(value)


def from_plain(value: Any) -> Any:
    """Restore the objects that mmengine needs; inverse of :func:`to_plain`."""
    if isinstance(value, dict):
        if value.get('history_buffer') is True:
            return HistoryBuffer(
                value['log'].cpu().numpy().tolist(),
                value['count'].cpu().numpy().tolist(),
                max_length=value['max_length'],
            )
        return {key: from_plain(item) for key, item in value.items()}
    return value


@contextmanager
def unsafe_loading() -> Iterator[None]:
    """Let ``torch.load`` unpickle arbitrary objects inside the block.

    This is for checkpoints of other programs. Loading can run code, so use
    it only if you trust whoever made the file.
    """
    load = torch.load
    torch.load = partial(load, weights_only=False)
    before = TRUSTED.set(True)
    try:
        yield
    finally:
        TRUSTED.reset(before)
        torch.load = load


# ---------------------------------------------------------------------------
# Loaders of checkpoints in mmengine that can run code. The loader of addresses
# (http and https, torchvision, openmmlab, mmpretrain's own weights) calls
# torch.hub without weights_only, in mmengine 0.10 and in onedl-mmengine 0.10.12.
# onedl's loader of local files tries a safe load first and then, in silence, an
# unsafe one. Even torch's safe loader can be kept busy for ever by 300 bytes, so
# that files are checked first. Can be removed when both packages load with
# weights_only=True and torch bounds its time and memory.
# ---------------------------------------------------------------------------
CheckpointLoader.register_scheme('', load_local, force=True)
checkpoint_module.load_from_local = load_local
checkpoint_module.load_url = load_url
# The package onedl-mmengine has this function.
if hasattr(checkpoint_module, '_safe_torch_load'):
    checkpoint_module._safe_torch_load = load_checked


# ---------------------------------------------------------------------------
# mmengine 0.10 writes checkpoints in place: a kill during the write leaves
# a broken file where the good one was. Can be removed when LocalBackend.put is
# atomic.
# ---------------------------------------------------------------------------
class AtomicLocalBackend(LocalBackend):
    """Backend for local files whose :meth:`put` replaces a file in one step.

    Its name in ``backend_args`` of a ``CheckpointHook`` is ``atomic_local``.
    """

    def put(self, obj: bytes, filepath: Union[str, Path]) -> None:
        """Write ``obj`` to ``filepath``."""
        write_atomic(str(filepath), obj)


register_backend('atomic_local', AtomicLocalBackend, force=True)


# ---------------------------------------------------------------------------
# mmengine 0.10 formats the text of a config with yapf each time that it is asked
# for: four times before the first step, one second for a config of a cleaning. Can
# be removed when Config keeps its formatted text.
# ---------------------------------------------------------------------------
def format_once(format_code: Callable, kept: int = 8) -> Callable:
    """Let a formatter remember its latest results.

    Args:
        format_code (Callable): Function of a text and of options by name, such as
            yapf's ``FormatCode``.
        kept (int): Number of results that are remembered. Defaults to 8.
    """
    known: Dict[Tuple[str, str], Any] = {}

    @wraps(format_code)
    def remember(text: str, **options: Any) -> Any:
        key = text, repr(sorted(options.items()))
        if key not in known:
            result = format_code(text, **options)
            while len(known) >= kept:
                known.pop(next(iter(known)))
            known[key] = result
        return known[key]

    return remember


# Where Config finds its formatter. The maintained fork imports it when it is used.
FORMATTER = (
    'mmengine.config.config.FormatCode'
    if hasattr(config_module, 'FormatCode')
    else 'yapf.yapflib.yapf_api.FormatCode'
)


def remember_formats() -> None:
    """Let the formatter of configs remember its latest results."""
    path, _, name = FORMATTER.rpartition('.')
    try:
        module = importlib.import_module(path)
    except ImportError:
        # Later versions may format in another way.
        return
    if not hasattr(getattr(module, name), '__wrapped__'):
        setattr(module, name, format_once(getattr(module, name)))


def remember_when_used(get_text: Callable) -> Callable:
    """Delay :func:`remember_formats` until a text is asked for.

    Args:
        get_text (Callable): Function that imports the formatter itself.
    """

    @wraps(get_text)
    def remembered(config: Config) -> str:
        remember_formats()
        return get_text(config)

    return remembered


if hasattr(config_module, 'FormatCode'):
    remember_formats()
elif not hasattr(Config.pretty_text.fget, '__wrapped__'):
    Config.pretty_text = property(remember_when_used(Config.pretty_text.fget))


# ---------------------------------------------------------------------------
# mmpretrain 1.3 of the maintained fork prints a debug message on the standard output
# when it is imported, amid the output of programs. Can be removed when ``print_log``
# without a logger heeds the level.
# ---------------------------------------------------------------------------
def from_info_on(print_log: Callable) -> Callable:
    """Keep debug messages without a logger from the standard output.

    Args:
        print_log (Callable): mmengine's function.
    """

    @wraps(print_log)
    def print_from_info_on(
        msg: Any, logger: Any = None, level: int = logging.INFO
    ) -> None:
        if logger is not None or level > logging.DEBUG:
            print_log(msg, logger, level)

    return print_from_info_on


if not hasattr(mmengine.logging.print_log, '__wrapped__'):
    mmengine.logging.print_log = from_info_on(mmengine.logging.print_log)


# ---------------------------------------------------------------------------
# mmengine 0.10 writes a config in place: a kill or a full disk leaves a part of a
# config where a whole one was. Can be removed when Config.dump is atomic.
# ---------------------------------------------------------------------------
def dump_atomically(dump: Callable) -> Callable:
    """Let ``Config.dump`` replace a Python file in one step.

    Args:
        dump (Callable): The method of mmengine.
    """

    @wraps(dump)
    def write(self: Config, file: Any = None) -> Any:
        if file is None or not str(file).endswith('.py'):
            return dump(self, file)
        write_atomic(str(file), self.pretty_text.encode())
        return None

    return write


if not hasattr(Config.dump, '__wrapped__'):
    Config.dump = dump_atomically(Config.dump)


# ---------------------------------------------------------------------------
# mmengine 0.10 takes the latest logger, message hub and default scope as the
# current ones, even after the runner that created them has finished. Can be
# removed when a runner uses its own.
# ---------------------------------------------------------------------------
@contextmanager
def inner_instances() -> Iterator[None]:
    """Run a nested Runner and restore the outer one's global instances."""

    def managers(cls):
        for child in cls.__subclasses__():
            yield child
            yield from managers(child)

    before = {cls: set(cls._instance_dict) for cls in managers(ManagerMixin)}
    try:
        yield
    finally:
        for cls in managers(ManagerMixin):
            for name in set(cls._instance_dict) - before.get(cls, set()):
                instance = cls._instance_dict.pop(name)
                for handler in getattr(instance, 'handlers', ()):
                    handler.close()


# ---------------------------------------------------------------------------
# torch has no memory pool on CPUs. glibc maps memory for each large activation
# and returns it to the system after use, so that every step touches new pages.
# If glibc keeps the memory, a ResNet-18 at 224 px trains 3 % faster, and ReSup with
# two of these networks 14 % faster. Can be removed when torch keeps memory that it
# frees.
# ---------------------------------------------------------------------------
def keep_freed_memory() -> bool:
    """Let glibc keep the large memory blocks that this process frees.

    Returns:
        bool: True if glibc keeps them; False with another C library.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        # The C library is another one, as on macOS, Windows or with musl.
        return False
    largest = 2**31 - 1
    return all(
        [mallopt(option, largest) for option in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD)]
    )


# ---------------------------------------------------------------------------
# mmengine 0.10 chooses a CUDA device when it starts a process group, and wraps
# models for the device LOCAL_RANK. Can be removed when its launcher supports
# CPUs.
# ---------------------------------------------------------------------------
def use_cpu_processes(cfg: Config) -> None:
    """Set up a config for training in several CPU processes.

    Args:
        cfg (Config): The config; changed in place.
    """
    cfg.env_cfg.dist_cfg.backend = 'gloo'
    cfg.model_wrapper_cfg = dict(
        dict(
            type='MMDistributedDataParallel',
            # mmengine's defaults if there is no model_wrapper_cfg.
            broadcast_buffers=False,
            find_unused_parameters=cfg.get('find_unused_parameters', False),
        ),
        **dict(cfg.get('model_wrapper_cfg') or {}, device_ids=None),
    )


@contextmanager
def cpu_process_group() -> Iterator[None]:
    """Join the process group of ``torchrun`` with the backend gloo.

    A runner that finds a process group does not start its own. The threads
    of the group must end before the interpreter does, otherwise the process
    is aborted. All processes therefore leave the group together. Wrapped
    models refer to the group, so they are freed first.
    """
    torch.distributed.init_process_group('gloo')
    try:
        yield
        torch.distributed.barrier()
    finally:
        gc.collect()
        torch.distributed.destroy_process_group()


# ---------------------------------------------------------------------------
# oneDNN (that of torch 2.6 to 2.14) writes beyond its memory in the backward
# pass of a strided 1x1 convolution in channels-last order, if several threads
# run and the convolution has fewer input channels than a register of the
# processor has numbers (16 with AVX-512). The process crashes, perhaps later.
# Goes away when such a convolution of 8 channels runs with two threads under
# glibc's malloc checks.
# ---------------------------------------------------------------------------
def crashes_in_channels_last(module: nn.Module) -> bool:
    """Return whether a module has a convolution that may crash the process."""
    return any(
        isinstance(part, nn.Conv2d)
        and part.kernel_size == (1, 1)
        and max(part.stride) > 1
        and part.in_channels < 16
        for part in module.modules()
    )


# ---------------------------------------------------------------------------
# ``_base_ = 'mmfer::ce/ce_r18_rafdb.py'`` inherits a config of an installed package.
# mmengine 0.10 knows only OpenMMLab's own packages, and looks them up with
# pkg_resources, which is gone in setuptools 82. Can be removed when mmengine finds
# the configs of any package.
# ---------------------------------------------------------------------------
def resolve_base(base: str) -> str:
    """Return the path of a base config that is given as ``mmfer::PATH``.

    Args:
        base (str): Entry of ``_base_``; PATH is relative to the folder of the configs.

    Raises:
        FileNotFoundError: mmfer has no such config; the message lists similar names.
    """
    path = shipped_path(base)
    if not path.is_file():
        near = ', '.join(nearest_configs(base))
        raise FileNotFoundError(
            f"_base_ = '{base}': there is no such config in {shipped_folder()}/configs."
            + (f' The nearest names are {near}.' if near else '')
        )
    return str(path)


def with_own_bases(get_path: Callable) -> Callable:
    """Let ``Config._get_cfg_path`` find configs of mmfer.

    Args:
        get_path (Callable): mmengine's function of a base and the file that names it.
    """

    @wraps(get_path)
    def get_own_path(cfg_path: str, filename: str) -> Tuple[str, Optional[str]]:
        if cfg_path.startswith('mmfer::'):
            # A scope here would be written into every dict of the config.
            return resolve_base(cfg_path), None
        return get_path(cfg_path, filename)

    return get_own_path


if not hasattr(Config._get_cfg_path, '__wrapped__'):
    Config._get_cfg_path = staticmethod(with_own_bases(Config._get_cfg_path))
