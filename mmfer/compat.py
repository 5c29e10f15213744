"""Work-arounds for dependencies: each says what makes it go away.

Everything here exists because a released dependency behaves in a way mmfer
cannot live with. ``tests/test_compat.py`` fails for each one when it is no
longer needed.
"""

import ctypes
import gc
import importlib.util
import warnings
from contextlib import contextmanager
from functools import partial
from inspect import isroutine
from typing import Any

import numpy as np
import torch
from mmengine.fileio import LocalBackend, register_backend
from mmengine.logging import HistoryBuffer
from mmengine.utils import ManagerMixin, digit_version

from mmfer.utils.files import write_atomic

# Lower bounds only: an upper bound asserted at import breaks users the day a
# dependency releases, whether or not anything changed for them.
MINIMUM_VERSIONS = dict(mmengine='0.10.4', mmpretrain='1.2.0', mmcv='2.0.0')

# Of glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def check_dependencies() -> None:
    """Fail at import, in one sentence, when an OpenMMLab package is missing.

    ``mmcv`` and ``mmcv-lite`` share the import name and overwrite each
    other's files, so neither can be a hard requirement of the wheel.
    """
    if importlib.util.find_spec('mmcv') is None:
        raise ImportError(
            'mmfer needs mmcv: install either with `pip install '
            '"mmfer[lite]"` (mmcv-lite, enough for everything here) or keep '
            'the full mmcv that another OpenMMLab project of yours needs.'
        )
    # mmcv-lite warns of a detector's layer that nothing here has use for.
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
# torch >= 2.6 loads with weights_only=True, mmengine 0.10 pickles its message
# hub into every checkpoint. Goes away when mmengine stores plain types.
# ---------------------------------------------------------------------------
def to_plain(value: Any) -> Any:
    """Turn ``value`` into types that a ``weights_only`` load accepts.

    :class:`HistoryBuffer` becomes a tagged dict of two tensors; numpy arrays
    become tensors, numpy scalars Python numbers; unknown objects their
    ``repr``, because a checkpoint that cannot be loaded safely is worse than
    one that lost a curiosity of the message hub. Functions in dicts are left
    out: OneCycleLR has one in its state, which is not state, and which an
    object that loads the rest has from its config.
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
    """Inverse of :func:`to_plain` for what mmengine needs back as objects."""
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
def unsafe_loading():
    """Let ``torch.load`` unpickle arbitrary objects inside the block.

    For checkpoints written by other programs that you trust: loading them
    can run code.
    """
    load = torch.load
    torch.load = partial(load, weights_only=False)
    try:
        yield
    finally:
        torch.load = load


# ---------------------------------------------------------------------------
# mmengine 0.10 writes checkpoints in place: a kill during the write leaves
# a broken file where the good one was. Goes away when LocalBackend.put is
# atomic.
# ---------------------------------------------------------------------------
class AtomicLocalBackend(LocalBackend):
    """Local files whose :meth:`put` replaces the target in one step.

    Named ``atomic_local`` in ``backend_args`` of a ``CheckpointHook``.
    """

    def put(self, obj: bytes, filepath) -> None:
        write_atomic(str(filepath), obj)


register_backend('atomic_local', AtomicLocalBackend, force=True)


def bf16_is_fast(device: str) -> bool:
    """Whether ``device`` computes in bfloat16 natively.

    torch emulates bfloat16 on older CPUs, several times slower than float32,
    and offers no public query for the instruction sets that do it.
    """
    if device == 'cpu':
        return bool(
            getattr(torch.cpu, '_is_avx512_bf16_supported', bool)()
            or getattr(torch.cpu, '_is_amx_tile_supported', bool)()
        )
    if device == 'cuda':
        return torch.cuda.is_bf16_supported()
    return False


# ---------------------------------------------------------------------------
# mmengine 0.10 takes the latest logger, message hub and default scope for the
# current ones, also when the runner that made them has long finished. Goes
# away when a runner takes its own along.
# ---------------------------------------------------------------------------
@contextmanager
def inner_instances():
    """Have a runner inside of another one, which is the current one after."""

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
# torch has no memory pool on CPUs: glibc maps each large activation anew and
# gives it back after use, so that every step touches fresh pages. A ResNet-18
# at 224 px trains 3 % faster without, two of them 14 %. Goes away when torch
# caches what it frees.
# ---------------------------------------------------------------------------
def keep_freed_memory() -> bool:
    """Let this process keep large blocks that it frees, where glibc is used.

    Returns:
        bool: Whether it will.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        # Another libc: macOS, Windows, musl.
        return False
    largest = 2**31 - 1
    return all(
        [mallopt(option, largest) for option in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD)]
    )


# ---------------------------------------------------------------------------
# mmengine 0.10 chooses a CUDA device when it starts a process group, and
# wraps models for the device LOCAL_RANK. Goes away when its launcher knows
# CPUs.
# ---------------------------------------------------------------------------
def use_cpu_processes(cfg) -> None:
    """Change a config for several CPU processes; all else stays the same."""
    cfg.env_cfg.dist_cfg.backend = 'gloo'
    cfg.model_wrapper_cfg = dict(
        dict(
            type='MMDistributedDataParallel',
            # mmengine's own choices where there is no model_wrapper_cfg.
            broadcast_buffers=False,
            find_unused_parameters=cfg.get('find_unused_parameters', False),
        ),
        **dict(cfg.get('model_wrapper_cfg') or {}, device_ids=None),
    )


@contextmanager
def cpu_process_group():
    """Join the process group that ``torchrun`` describes, over gloo.

    A runner that finds one does not start its own. The group's threads must
    end before the interpreter does, or it is aborted: all processes leave
    together, and wrapped models, which hold on to the group, go first.
    """
    torch.distributed.init_process_group('gloo')
    try:
        yield
        torch.distributed.barrier()
    finally:
        gc.collect()
        torch.distributed.destroy_process_group()
