"""Planted noise and a cleaning as flags of ``tools/train.py``.

Config files exist for the rows of result tables. Flags on the command line ask
for other combinations::

    python tools/train.py configs/ce/ce_r18_rafdb.py --noise symmetric:0.2
    python tools/train.py configs/resup/resup_r18_rafdb.py --noise pair:0.3:seed1 \\
        --clean gaave

The functions take a config and return a new one. Its name is the one that a file
with these settings would have, such as ``gaave_resup_r18_rafdb_pair30seed1``. The
work dir, ``summary.json`` and the log use this name.
"""

import copy
import inspect
import os.path as osp
import re
from typing import Callable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from mmengine.config import Config

from mmfer.datasets.noise import CIFAR10_CONFUSIONS
from mmfer.registry import MODELS
from mmfer.utils.text_files import clipped
from mmfer.utils.text_tables import parse_number


# -- noise ------------------------------------------------------------------------
class NoiseType(NamedTuple):
    """One kind of noise that ``--noise`` knows.

    Attributes:
        generator (str): Registered name of the class that plants it.
        suffix (str): Its word in the name of a config, before the percentage.
        share (Callable): Function that maps the rates and the number of classes
            to the noise rate that a method is told.
    """

    generator: str
    suffix: str
    share: Callable[[Sequence[float], int], float]


def _rate(rates: Sequence[float], num_classes: int) -> float:
    """Return the rate itself: every drawn label is wrong."""
    return rates[0]


def _half(rates: Sequence[float], num_classes: int) -> float:
    """Return half of the rate, as the code of Co-teaching and JoCoR does."""
    return rates[0] / 2


def _other_classes(rates: Sequence[float], num_classes: int) -> float:
    """Return the noise rate if a draw can also give the own class."""
    return rates[0] * (1 - 1 / num_classes)


def _mean(rates: Sequence[float], num_classes: int) -> float:
    """Return the noise rate if all classes are equally large."""
    return sum(rates) / len(rates)


NOISE_TYPES = {
    'symmetric': NoiseType('SymmetricNoise', 'noise', _rate),
    'uniform': NoiseType('UniformNoise', 'uniform', _other_classes),
    'pair': NoiseType('PairNoise', 'pair', _half),
    'asymmetric': NoiseType('AsymmetricNoise', 'asym', _half),
    'classdep': NoiseType('ClassDependentNoise', 'classdep', _mean),
    'bernoulli_symmetric': NoiseType(
        'BernoulliSymmetricNoise', 'bernoullisymmetric', _rate
    ),
    'bernoulli_uniform': NoiseType(
        'BernoulliUniformNoise', 'bernoulliuniform', _other_classes
    ),
}
# Class that asymmetric noise changes each class to, by the type of the data set.
MAPPINGS = {'NoisyCIFAR10': CIFAR10_CONFUSIONS}
_PERCENT = r'[0-9]+(?:\.[0-9]+)?'
# Part of a config's name that states the noise, as ``_noise30`` or ``_pair10seed1``.
_SUFFIX = re.compile(
    rf'_({"|".join(t.suffix for t in NOISE_TYPES.values())})'
    rf'({_PERCENT}(?:-{_PERCENT})*)(seed[0-9]{{1,10}})?(?=_|$)'
)
_FLAG = re.compile(r'(?P<kind>[^:]*):(?P<rates>[^:]*)(:seed(?P<seed>[0-9]{1,10}))?')


class NoiseFlag(NamedTuple):
    """Parsed value of ``--noise``.

    Attributes:
        kind (str): Key of :data:`NOISE_TYPES`.
        rates (tuple[float]): One rate in [0, 1); for ``classdep`` one per class.
        seed (int, optional): Seed of the draws; None if the flag has no seed.
    """

    kind: str
    rates: Tuple[float, ...]
    seed: Optional[int] = None

    @property
    def suffix(self) -> str:
        """str: Part that is added to the name of the config, as ``noise30``."""
        percent = '-'.join(f'{100 * rate:g}' for rate in self.rates)
        seed = f'seed{self.seed}' if self.seed else ''
        return f'{NOISE_TYPES[self.kind].suffix}{percent}{seed}'


def parse_noise(text: str) -> NoiseFlag:
    """Parse the value ``TYPE:RATE[:seedN]`` of the flag ``--noise``.

    Args:
        text (str): For example ``symmetric:0.3`` or ``pair:0.1:seed1``;
            ``classdep`` has one rate per class, as in
            ``classdep:0.1,0.5,0.3,0,0.4,0.2,0``.

    Raises:
        ValueError: The form, the type or a rate is wrong.
    """
    form = 'Write TYPE:RATE or TYPE:RATE:seedN, for example --noise symmetric:0.3'
    match = _FLAG.fullmatch(text)
    text = clipped(text)
    if match is None:
        raise ValueError(f'--noise {text}: this form cannot be read. {form}.')
    kind = match['kind']
    if kind not in NOISE_TYPES:
        raise ValueError(
            f'--noise {text}: there is no noise type {clipped(kind)!r}. Choose from '
            f'{", ".join(NOISE_TYPES)}.'
        )
    # float() would also read 0_1 and digits of other scripts.
    found = [parse_number(rate) for rate in match['rates'].split(',')]
    rates = tuple(rate for rate in found if rate is not None)
    if len(rates) < len(found):
        raise ValueError(
            f'--noise {text}: {clipped(match["rates"])!r} is not a number. {form}.'
            if match['rates']
            else f'--noise {text}: the rate is missing. {form}.'
        )
    if len(rates) > 1 and kind != 'classdep':
        raise ValueError(
            f'--noise {text}: {kind} noise has one rate, but {len(rates)} are given. '
            'Only classdep has several rates, separated by commas. Write decimals '
            'with a point, as in 0.3.'
        )
    for rate in rates:
        if not 0 <= rate < 1:
            raise ValueError(
                f'--noise {text}: the rate {rate:g} is not in [0, 1). The rate is '
                f'the share of labels to change: for 30 %, write {kind}:0.3.'
            )
    return NoiseFlag(kind, rates, None if match['seed'] is None else int(match['seed']))


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
    else:
        new['rate'] = flag.rates[0]
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
def derive(cfg: Config, noise: Optional[str], clean: Optional[str]) -> Config:
    """Return the config that ``--noise`` and ``--clean`` ask for.

    Args:
        cfg (Config): Config read from a file.
        noise (str, optional): See :func:`parse_noise`.
        clean (str, optional): Key of :data:`CLEANING_HOOKS`.

    Raises:
        ValueError: A flag is wrong or does not fit the config.
    """
    path = cfg.filename
    if noise is not None:
        cfg = plant_noise(cfg, parse_noise(noise))
    if clean is not None:
        cfg = clean_first(cfg, clean, cleaning_options(path) if path else None)
    return cfg


def _with_suffix(stem: str, suffix: str) -> str:
    """Add a noise to the name of a config, or replace the one in it."""
    if _SUFFIX.search(stem):
        return _SUFFIX.sub(f'_{suffix}', stem)
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
    match = _SUFFIX.search(stem)
    if file is None and match is not None and match.end() == len(stem):
        file = existing(stem[: match.start()])
        flags = ['--noise', _flag_of(match), *flags]
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


def _flag_of(match: re.Match) -> str:
    """Return the value of ``--noise`` for a match of :data:`_SUFFIX`."""
    suffix, percent, seed = match.groups()
    kind = next(k for k, t in NOISE_TYPES.items() if t.suffix == suffix)
    rates = ','.join(f'{float(number) / 100:g}' for number in percent.split('-'))
    return ':'.join([kind, rates, *([seed] if seed else [])])
