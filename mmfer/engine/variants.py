"""Planted noise and a cleaning as flags of ``mmfer train``.

Config files exist for the rows of result tables. Flags on the command line ask
for other combinations::

    mmfer train configs/ce/ce_r18_rafdb.py --noise symmetric:0.2
    mmfer train configs/resup/resup_r18_rafdb.py --noise pair:0.3:seed1 \\
        --clean gaave

The functions take a config and return a new one. Its name is the one that a file
with these settings would have, such as ``gaave_resup_r18_rafdb_pair30seed1``. The
work dir, ``summary.json`` and the log use this name.
"""

import copy
import inspect
import os.path as osp
from typing import Callable, Iterator, List, Optional, Tuple

from mmengine.config import Config

from mmfer.datasets.noise import CIFAR10_CONFUSIONS
from mmfer.datasets.sources import data_name
from mmfer.registry import MODELS

from .noise_flag import NOISE_TYPES, SUFFIX, NoiseFlag, flag_of, parse_noise
from .own_data import name_with_data, use_data

# Types of data sets that know the votes of annotators.
VOTED = ('FERPlus',)
# Class that asymmetric noise changes each class to, by the type of the data set.
MAPPINGS = {'NoisyCIFAR10': CIFAR10_CONFUSIONS}


# -- noise ------------------------------------------------------------------------
def plant_noise(cfg: Config, flag: NoiseFlag) -> Config:
    """Return the config with this noise in its training labels.

    - Noise that the config already plants is replaced. If it has the same type,
      only its rate changes, and its seed if the flag has one.
    - If the model is told the noise rate (``model.noise_rate``), it is told the
      new one. A config with ``noise_rate=None`` asks the model for an estimate,
      so it stays None.

    Args:
        cfg (Config): Training config; it is not changed.
        flag (NoiseFlag): See :func:`parse_noise`.

    Raises:
        ValueError: This noise cannot be planted in this data set.
    """
    cfg = copy.deepcopy(cfg)
    dataset = _innermost(cfg)
    given = f'--noise {flag.kind}'
    old = dataset.get('label_noise') or {}
    if _type_of(old) == 'Annotators':
        raise ValueError(
            f'{given}: this data set has several annotators, and each has its own '
            'noise. Change them in the config '
            '(train_dataloader.dataset.label_noise.generators).'
        )
    if dataset.get('noisy_list'):
        raise ValueError(
            f'{given}: this data set reads noisy labels from '
            f'{dataset["noisy_list"]}, and planted noise would be added to them. '
            'Use a config without noisy_list.'
        )
    noise = NOISE_TYPES[flag.kind]
    same = _type_of(old) == noise.generator
    new = dict(old) if same else dict(type=noise.generator)
    if flag.kind == 'classdep':
        classes = _num_classes(cfg, given)
        if len(flag.rates) != classes:
            raise ValueError(
                f'{given}: the data set has {classes} classes, but the number of '
                f'given rates is {len(flag.rates)}. Give one rate per class, separated '
                'by commas, as in classdep:0.1,0.5,0.3.'
            )
        new['rates'] = list(flag.rates)
    elif flag.rates:
        new['rate'] = flag.rates[0]
    if flag.kind == 'vote' and _type_of(dataset) not in VOTED:
        raise ValueError(
            f'{given}: this noise draws from the votes of annotators, which '
            f'{_type_of(dataset)} does not have. Use it with {", ".join(VOTED)}, or '
            'another noise, such as symmetric:0.3.'
        )
    if flag.kind == 'asymmetric' and 'mapping' not in new:
        if _type_of(dataset) not in MAPPINGS:
            raise ValueError(
                f'{given}: this noise needs a mapping that says which class is '
                f'mistaken for which. mmfer has one for {", ".join(MAPPINGS)}, but '
                f'not for {_type_of(dataset)}. Use pair noise, or write label_noise '
                'with a mapping into a config.'
            )
        new['mapping'] = list(MAPPINGS[_type_of(dataset)].items())
    new['seed'] = new.get('seed', 0) if flag.seed is None else flag.seed
    dataset['label_noise'] = new
    if _is_told(cfg.model):
        if noise.share is None:
            raise ValueError(
                f'{given}: this model is told the noise rate, which the flag does not '
                'state. Use a config that estimates it (model.noise_rate=None), or '
                'write label_noise and noise_rate into a config.'
            )
        cfg.model['noise_rate'] = noise.share(flag.rates, _num_classes(cfg, given))
    return renamed(cfg, lambda stem: _with_suffix(stem, flag.suffix))


def _innermost(cfg: Config) -> dict:
    """Return the settings of the training set without its wrappers."""
    dataset = cfg.train_dataloader.dataset
    while 'dataset' in dataset:
        dataset = dataset['dataset']
    if 'datasets' in dataset:
        raise ValueError(
            f'--noise: the training set is a {dataset["type"]} of several data sets. '
            'In the config, set label_noise of those that should be noisy.'
        )
    return dataset


def _type_of(settings: dict) -> str:
    """Return the registered name of a class, without the scope."""
    return str(settings.get('type', '')).rpartition('.')[2]


def _num_classes(cfg: Config, given: str) -> int:
    number = (cfg.get('data_preprocessor') or {}).get('num_classes')
    if number is None:
        raise ValueError(
            f'{given} needs the number of classes; set data_preprocessor.num_classes.'
        )
    return number


def _is_told(model: dict) -> bool:
    """Return whether the model is told the noise rate, not asked to estimate it."""
    if 'noise_rate' in model:
        return model['noise_rate'] is not None
    cls = MODELS.get(model['type'])
    return cls is not None and any(
        'noise_rate' in inspect.signature(vars(base)['__init__']).parameters
        for base in inspect.getmro(cls)
        if '__init__' in vars(base) and base is not object
    )


# -- cleaning ---------------------------------------------------------------------
# Hooks that clean the labels before a run, by the value of ``--clean``.
CLEANING_HOOKS = {'gaave': 'GAAVEHook'}


def clean_first(cfg: Config, method: str, options: Optional[dict] = None) -> Config:
    """Return the config with a hook that cleans the labels before the run.

    Args:
        cfg (Config): Training config; it is not changed.
        method (str): Key of :data:`CLEANING_HOOKS`.
        options (dict, optional): Settings of the hook for this data set, see
            :func:`cleaning_options`. Defaults to None: the hook's own defaults.

    Raises:
        ValueError: The config already has this hook.
    """
    cfg = copy.deepcopy(cfg)
    hooks = list(cfg.get('custom_hooks') or [])
    name = CLEANING_HOOKS[method]
    if any(_type_of(hook) == name for hook in hooks):
        raise ValueError(
            f'--clean {method}: this config already has a {name}. Omit --clean, or '
            'use the config without the hook.'
        )
    if options is not None:
        cfg.cleaning = copy.deepcopy(options)
    cfg.custom_hooks = [*hooks, copy.deepcopy(options or dict(type=name))]
    return renamed(cfg, lambda stem: f'{method}_{stem}')


def cleaning_options(path: str) -> Optional[dict]:
    """Find the cleaning options of the data set that a config file inherits.

    The data set has a file in ``_base_/datasets/``. The options are in a file of
    the same name in ``_base_/cleaning/``. If there is none, the files that the
    data-set file inherits from are tried.

    Args:
        path (str): Config file.

    Returns:
        dict, optional: Variable ``cleaning`` of the found file; None if no file
        is found.
    """
    for base in _bases(path):
        folder, name = osp.split(base)
        if osp.basename(folder) != 'datasets':
            continue
        file = osp.join(osp.dirname(folder), 'cleaning', name)
        if osp.isfile(file):
            return Config.fromfile(file).cleaning
    return None


def _bases(path: str) -> Iterator[str]:
    """Yield the files that a config file inherits from, the nearest first."""
    # mmengine has no public function that lists the direct bases.
    for base in Config._get_base_files(path):
        # Bases in other packages (``mmpretrain::...``) have no cleaning options.
        if '::' not in base or base.startswith('mmfer::'):
            file = osp.normpath(Config._get_cfg_path(base, path)[0])
            yield file
            yield from _bases(file)


# -- noise and cleaning -----------------------------------------------------------
def derive(
    cfg: Config,
    noise: Optional[str],
    clean: Optional[str],
    data: Optional[str] = None,
    val_data: Optional[str] = None,
    classes: Optional[str] = None,
) -> Config:
    """Return the config that ``--noise``, ``--clean`` and ``--data`` ask for.

    Args:
        cfg (Config): Config read from a file.
        noise (str, optional): See :func:`parse_noise`.
        clean (str, optional): Key of :data:`CLEANING_HOOKS`.
        data (str, optional): Images in place of those of the config, see
            :func:`~mmfer.engine.own_data.use_data`.
        val_data (str, optional): Images for evaluation, see there.
        classes (str, optional): Names of the classes, see there.

    Raises:
        ValueError: A flag is wrong or does not fit the config.
    """
    path = cfg.filename
    if data is not None:
        cfg = renamed(
            use_data(cfg, data, val_data, classes),
            lambda stem: name_with_data(stem, data_name(data)),
        )
        # The options in configs/_base_/cleaning are those of the config's data.
        path = None
    elif val_data is not None or classes is not None:
        raise ValueError('--val-data and --classes belong to --data, which is missing.')
    if noise is not None:
        cfg = plant_noise(cfg, parse_noise(noise))
    if clean is not None:
        cfg = clean_first(cfg, clean, cleaning_options(path) if path else None)
    return cfg


def _with_suffix(stem: str, suffix: str) -> str:
    """Add a noise to the name of a config, or replace the one in it."""
    if SUFFIX.search(stem):
        return SUFFIX.sub(f'_{suffix}', stem)
    return f'{stem}_{suffix}'


def renamed(cfg: Config, rename: Callable[[str], str]) -> Config:
    """Rename a config; a run and its work dir get the name of the config."""
    if cfg.filename:
        folder, name = osp.split(cfg.filename)
        stem, ending = osp.splitext(name)
        # The __setattr__ of Config would add a setting.
        object.__setattr__(
            cfg, '_filename', osp.join(folder, f'{rename(stem)}{ending}')
        )
    return cfg


def find_variant(path: str) -> Optional[Tuple[str, List[str]]]:
    """Find the config file and the flags that the name of a config stands for.

    For example, ``configs/gaave/gaave_ce_r18_rafdb_pair10.py`` stands for the file
    ``configs/ce/ce_r18_rafdb.py`` with the flags
    ``['--noise', 'pair:0.1', '--clean', 'gaave']``.

    Args:
        path (str): Path of a config; the file need not exist.

    Returns:
        tuple[str, list[str]], optional: Config file and flags; no flags if the
        file exists. None if no file with flags has this name.
    """
    if osp.isfile(path):
        return path, []
    folder, name = osp.split(path)
    root, stem = osp.dirname(folder), osp.splitext(name)[0]
    flags: List[str] = []
    for method in CLEANING_HOOKS:
        if stem.startswith(f'{method}_'):
            stem = stem.removeprefix(f'{method}_')
            flags = ['--clean', method]

    def existing(stem: str) -> Optional[str]:
        file = osp.join(root, stem.partition('_')[0], f'{stem}.py')
        return file if osp.isfile(file) else None

    file = existing(stem)
    match = SUFFIX.search(stem)
    if file is None and match is not None and match.end() == len(stem):
        file = existing(stem[: match.start()])
        flags = ['--noise', flag_of(match), *flags]
    return None if file is None or not flags else (file, flags)


def read_variant(path: str) -> Config:
    """Read the config that a name stands for, see :func:`find_variant`.

    Raises:
        FileNotFoundError: No config file, with or without flags, has this name.
    """
    found = find_variant(path)
    if found is None:
        raise FileNotFoundError(f'{path}: there is no such config.')
    file, flags = found
    given = dict(zip(flags[::2], flags[1::2]))
    return derive(Config.fromfile(file), given.get('--noise'), given.get('--clean'))
