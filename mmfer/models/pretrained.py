"""Check that pretrained weights fit before a run begins.

mmengine loads the tensors that fit and only logs the others. So if the names
in a file differ, the network keeps its random weights. The functions here load
the file on trial before the run, and raise an error if it does not fit.
"""

import io
import os.path as osp
import pickle
from contextlib import contextmanager, redirect_stdout
from typing import Any, Dict, Iterator, List, NamedTuple, Sequence, Set

import torch
import torch.nn as nn
from mmengine.logging import MMLogger
from mmengine.model import BaseModule
from mmengine.model.weight_init import PretrainedInit, initialize
from torch import Tensor

from mmfer.utils.checkpoint_content import inspect_checkpoint
from mmfer.utils.console import prints_logged

# Buffer that may be missing: files of old torch versions do not have it, and
# no result depends on its value.
OPTIONAL = 'num_batches_tracked'
# Number of missing tensors that a message names.
EXAMPLES = 3


class Pretrained(NamedTuple):
    """A module whose initial weights come from a file.

    Attributes:
        place (str): Dotted path of its ``init_cfg`` in the config.
        name (str): Name of the module in the model with a dot at its end;
            empty for the model itself.
        module (nn.Module): The module.
        cfg (dict): Its ``init_cfg``, of type ``Pretrained``.
        partial (bool): Whether some of its tensors may be missing in the file.
    """

    place: str
    name: str
    module: nn.Module
    cfg: dict
    partial: bool

    @property
    def checkpoint(self) -> str:
        """Path or address of the file."""
        return str(self.cfg.get('checkpoint', ''))

    @property
    def is_missing(self) -> bool:
        """Whether the checkpoint is a local file that does not exist."""
        return '://' not in self.checkpoint and not osp.isfile(
            osp.expanduser(self.checkpoint)
        )


class CheckedPretrained(BaseModule):
    """Mixin for models that raise an error if pretrained weights do not fit.

    It must come before the mmengine model in the list of base classes.
    """

    # Dotted path of the model in the config, for messages.
    config_path = 'model'
    # Set while an outer model initialises, because it has checked all files.
    _pretrained_is_checked: bool

    def init_weights(self) -> None:
        """Initialise the weights, and check that pretrained ones fit.

        Raises:
            FileNotFoundError: A file does not exist.
            ValueError: See :func:`check_pretrained`.
        """
        if self.is_init or getattr(self, '_pretrained_is_checked', False):
            super().init_weights()
            return
        loaded = check_pretrained(self, self.config_path)
        parts = [m for m in self.modules() if isinstance(m, CheckedPretrained)]
        for part in parts:
            part._pretrained_is_checked = True
        try:
            # mmengine prints where weights with a prefix come from.
            with prints_logged():
                super().init_weights()
        finally:
            for part in parts:
                del part._pretrained_is_checked
        # Load once more: if init_cfg is a list, mmpretrain's ResNet sets the
        # last norm of each block to zero after it has loaded the file.
        own = self.state_dict()
        for name, value in loaded.items():
            own[name].copy_(value)


def find_pretrained(model: nn.Module, config_path: str = 'model') -> List[Pretrained]:
    """Return the modules of a model whose initial weights come from a file.

    Args:
        model (nn.Module): Any model, without a wrapper for DDP.
        config_path (str): Dotted path of the model in the config. Defaults to
            ``'model'``.
    """
    found = []
    partial = tuple(
        f'{name}.' if name else ''
        for name, module in model.named_modules()
        if getattr(module, 'partial_weights', False)
    )
    # Models of other libraries have no option partial_weights, so tensors may
    # be missing. mmengine's log names those that were not loaded.
    lenient = not any(
        isinstance(module, CheckedPretrained) for module in model.modules()
    )
    for name, module in model.named_modules():
        init_cfg: Any = getattr(module, 'init_cfg', None) or []
        for cfg in [init_cfg] if isinstance(init_cfg, dict) else init_cfg:
            if cfg.get('type') not in ('Pretrained', PretrainedInit):
                continue
            prefix = f'{name}.' if name else ''
            # The names of wrappers for DDP are not part of the config.
            parts = [p for p in name.split('.') if p and p != 'module']
            found.append(
                Pretrained(
                    '.'.join([config_path, *parts, 'init_cfg']),
                    prefix,
                    module,
                    cfg,
                    lenient or prefix.startswith(partial),
                )
            )
    return found


def check_pretrained(model: nn.Module, config_path: str = 'model') -> Dict[str, Tensor]:
    """Raise unless all pretrained weights of a model exist and fit.

    Files are read in the same way as in a run, and downloaded if the config
    names an address. So even a run that loads its weights only after hours
    fails at once. The model is not changed.

    Every tensor of a backbone, or of another part with an ``init_cfg`` of its
    own, must come from its file. Two kinds may be missing: counters of
    BatchNorm, and the first convolution if images do not have three channels.
    If a classifier has ``partial_weights=True``, more tensors may be missing,
    but not all. The same holds for models of other libraries, which do not
    have this option.

    Args:
        model (nn.Module): Any model, without a wrapper for DDP.
        config_path (str): Dotted path of the model in the config. Defaults to
            ``'model'``.

    Returns:
        dict[str, Tensor]: Tensors that came from the files, by their names in
        the model's state dict.

    Raises:
        FileNotFoundError: A local file does not exist.
        ValueError: A file cannot be read or does not fit.
        pickle.UnpicklingError: torch refuses to load a file safely.
    """
    parts = find_pretrained(model, config_path)
    missing = [part for part in parts if part.is_missing]
    if missing:
        # Without the weights of one network, a pair is no longer that of the paper,
        # and the other weights may have to be downloaded.
        places = list(dict.fromkeys(part.place for part in parts))
        raise FileNotFoundError(
            '\n'.join(explain_missing(part, places) for part in missing)
        )
    loaded: Dict[str, Tensor] = {}
    # As in mmengine, the file of an outer module overwrites those of its parts.
    for part in sorted(parts, key=lambda part: -part.name.count('.')):
        values = try_file(part)
        refuse_misfit(part, set(values))
        loaded.update((part.name + name, value) for name, value in values.items())
    return loaded


def explain_missing(part: Pretrained, places: Sequence[str]) -> str:
    """Return a message about a file that does not exist.

    Args:
        part (Pretrained): Module and file.
        places (Sequence[str]): Places of all weights of the model, in the config.
    """
    without = ' '.join(f'{place}=None' for place in places)
    return (
        f'the pretrained weights {part.checkpoint!r} do not exist '
        f'({part.place}). Save the face-recognition weights from which the '
        'paper starts under this path '
        '(tools/model_converters/import_face_weights.py converts published files), '
        'start from other weights with --init pretrained, or train from scratch '
        f'with --cfg-options {without}'
    )


def try_file(part: Pretrained) -> Dict[str, Tensor]:
    """Load a file as mmengine does, then restore the module.

    Args:
        part (Pretrained): Module and file.

    Returns:
        dict[str, Tensor]: Tensors of the module that the file has set.

    Raises:
        ValueError: The file cannot be read.
    """
    own = part.module.state_dict()
    before = {name: value.clone() for name, value in own.items()}
    values = {}
    try:
        for value in own.values():
            mark(value)
        with quiet():
            load(part)
        values = {
            name: value.clone() for name, value in own.items() if not is_marked(value)
        }
    finally:
        for name, value in own.items():
            value.copy_(before[name])
    return values


def load(part: Pretrained) -> None:
    """Load a file with mmengine; turn its errors into messages.

    Raises:
        ValueError: The file cannot be read.
    """
    where = f'{part.checkpoint} ({part.place})'
    if osp.isfile(part.checkpoint):
        problem = inspect_checkpoint(part.checkpoint).problem
        if problem is not None and problem.kind != 'objects':
            raise ValueError(
                f'{where} {problem.reason}. Copy or convert the weights again.'
            )
    try:
        initialize(part.module, dict(part.cfg))
    except AssertionError:
        # mmengine raises this if no entry begins with the prefix. Then nothing
        # is loaded, and refuse_misfit explains it.
        return
    except pickle.UnpicklingError as error:
        raise pickle.UnpicklingError(
            f'{where}: torch refuses to load these weights safely: the file '
            'has Python objects. For a face-recognition '
            'network, make a safe file with '
            f'tools/model_converters/import_face_weights.py.\n{error}'
        ) from None
    except KeyError as error:
        raise ValueError(
            f'{where}: there are no pretrained weights of the name {error}; '
            'check the spelling.'
        ) from error
    except ImportError as error:
        raise ValueError(f'{where}: {error}') from error
    except Exception as error:
        reason = (str(error).splitlines() or ['no data'])[0]
        raise ValueError(
            f'{where}: the pretrained weights cannot be read '
            f'({type(error).__name__}: {reason}). '
            + (
                f'Without internet access, put the file into '
                f'{osp.join(torch.hub.get_dir(), "checkpoints")}, or train from '
                f'scratch with --cfg-options {part.place}=None'
                if '://' in part.checkpoint
                else 'Is the file complete?'
            )
        ) from error


def mark(value: Tensor) -> None:
    """Fill a tensor with values that never occur in a file."""
    if value.is_floating_point() or value.is_complex():
        value.fill_(float('nan'))
    elif value.dtype is not torch.bool:
        value.fill_(torch.iinfo(value.dtype).min)


def is_marked(value: Tensor) -> bool:
    """Return whether a tensor still has the values of :func:`mark`."""
    if not value.numel() or value.dtype is torch.bool:
        return False
    if value.is_floating_point() or value.is_complex():
        return bool(value.isnan().all())
    return bool((value == torch.iinfo(value.dtype).min).all())


@contextmanager
def quiet() -> Iterator[None]:
    """Silence mmengine's log while a file is loaded on trial."""
    logger = MMLogger.get_current_instance()
    before, logger.disabled = logger.disabled, True
    try:
        # With a prefix, mmengine prints what it loads.
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.disabled = before


def refuse_misfit(part: Pretrained, came: Set[str]) -> None:
    """Raise if a file has not set all tensors that it should set.

    Args:
        part (Pretrained): Module and file.
        came (set[str]): Names of the module's tensors that the file has set.

    Raises:
        ValueError: Tensors are missing.
    """
    names = [name for name in part.module.state_dict() if not name.endswith(OPTIONAL)]
    # If the file has a whole classifier, only the backbone must fit: the head
    # may be for other classes. mmengine's log names what was not loaded.
    needed = [name for name in names if 'backbone' in name.split('.')] or names
    lost = [
        name for name in needed if name not in came and name != misfit_stem(part.module)
    ]
    if came.intersection(needed) and (part.partial or not lost):
        return
    examples = ', '.join(lost[:EXAMPLES]) + (
        f' and {len(lost) - EXAMPLES} more' if len(lost) > EXAMPLES else ''
    )
    prefix = part.cfg.get('prefix')
    asked = f', prefix={prefix!r}' if prefix is not None else ''
    advice = suggest_prefix(part, set(needed))
    if not advice and came:
        owner = part.place.partition('.backbone')[0].removesuffix('.init_cfg')
        advice = (
            'The weights are those of another network. If the backbone has '
            'layers that the file cannot have, set '
            f'{owner}.partial_weights=True.'
        )
    raise ValueError(
        f'{part.checkpoint} ({part.place}{asked}): of the {len(needed)} '
        f'tensors that should start from these weights, {len(lost)} have no '
        f'counterpart of the same name and shape ({examples}), and would stay '
        f'random. {advice or "The weights are those of another network."}'
    )


def misfit_stem(module: nn.Module) -> str:
    """Return the name of the first convolution unless it has 3 input channels.

    Published files are for images of 3 channels, so no file can fit it. With 3
    channels, return ''.
    """
    for name, value in module.named_parameters():
        if value.dim() == 4:
            return name if value.shape[1] != 3 else ''
    return ''


def suggest_prefix(part: Pretrained, needed: Set[str]) -> str:
    """Return advice that names the prefix with which a file fits.

    Args:
        part (Pretrained): Module and file.
        needed (set[str]): Names of tensors that the file should set.

    Returns:
        str: A sentence; empty if the file fits with no prefix.
    """
    found = read_names(part)
    example = next(iter(sorted(needed)))
    prefixes = {''} | {
        name[: -len(example)] for name in found if name.endswith(f'.{example}')
    }
    fits = [p for p in prefixes if all(p + name in found for name in needed)]
    if not fits:
        return ''
    prefix = min(fits, key=len).rstrip('.') or None
    given = part.cfg.get('prefix')
    if prefix == given:
        # The names are right, so it is the shapes that do not fit.
        return ''
    settings = f"type='Pretrained', checkpoint={part.checkpoint!r}"
    if prefix is not None:
        settings += f', prefix={prefix!r}'
    inherited = (
        ''
        if given is None
        else (
            ' A config inherits the keys that it does not set; '
            '_delete_=True in init_cfg removes them.'
        )
    )
    return (
        f'The weights fit with init_cfg=dict({settings}), or --cfg-options '
        f'{part.place}.prefix={prefix}.{inherited}'
    )


def read_names(part: Pretrained) -> Set[str]:
    """Return the names of the tensors in a readable file."""
    from mmengine.runner import CheckpointLoader

    with quiet():
        content = CheckpointLoader.load_checkpoint(part.checkpoint, 'cpu')
    return set(content.get('state_dict', content))
