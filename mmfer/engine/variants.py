"""Planted noise and a cleaning as flags of ``tools/train.py``.

A config file exists for a row of a table. Everything between the rows is asked
for on the command line::

    python tools/train.py configs/ce/ce_r18_rafdb.py --noise symmetric:0.2
    python tools/train.py configs/resup/resup_r18_rafdb.py --noise pair:0.3:seed1 \\
        --clean gaave

The functions take a config and return another one. The new config has the name
that a file with these settings would have, as ``gaave_resup_r18_rafdb_pair30seed1``;
work dir, ``summary.json`` and log take it from there.
"""

import copy
import inspect
import os.path as osp
import re
from typing import Callable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from mmengine.config import Config

from mmfer.datasets.noise import CIFAR10_CONFUSIONS
from mmfer.registry import MODELS


# -- noise ------------------------------------------------------------------------
class NoiseType(NamedTuple):
    """One kind of noise that ``--noise`` knows.

    Attributes:
        generator (str): Registered class that plants it.
        suffix (str): What the name of a config calls it, before the percentage.
        share (Callable): Rates and number of classes to the share of wrong
            labels that a method is told.
    """

    generator: str
    suffix: str
    share: Callable[[Sequence[float], int], float]


def _rate(rates: Sequence[float], num_classes: int) -> float:
    return rates[0]


def _half(rates: Sequence[float], num_classes: int) -> float:
    """Half of the rate, as the authors of Co-teaching and JoCoR tell it."""
    return rates[0] / 2


def _other_classes(rates: Sequence[float], num_classes: int) -> float:
    """Share that changes where the own class can be drawn, too."""
    return rates[0] * (1 - 1 / num_classes)


def _mean(rates: Sequence[float], num_classes: int) -> float:
    """Share of wrong labels if all classes are equally large."""
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
# Which class asymmetric noise turns into which, by the type of the data set.
MAPPINGS = {'NoisyCIFAR10': CIFAR10_CONFUSIONS}
# A noise in the name of a config, as ``_noise30`` or ``_pair10seed1``.
_SUFFIX = re.compile(
    rf'_({"|".join(t.suffix for t in NOISE_TYPES.values())})'
    r'(\d[\d.-]*)(seed\d+)?(?=_|$)'
)
_FLAG = re.compile(r'(?P<kind>[^:]*):(?P<rates>[^:]*)(:seed(?P<seed>\d+))?')


class NoiseFlag(NamedTuple):
    """The value of ``--noise``.

    Attributes:
        kind (str): Key of :data:`NOISE_TYPES`.
        rates (tuple[float]): One rate in [0, 1); for ``classdep`` one per class.
        seed (int, optional): Seed of the draws; None if the flag names none.
    """

    kind: str
    rates: Tuple[float, ...]
    seed: Optional[int] = None

    @property
    def suffix(self) -> str:
        """str: What the name of the config gets, as ``noise30``."""
        percent = '-'.join(f'{100 * rate:g}' for rate in self.rates)
        seed = f'seed{self.seed}' if self.seed else ''
        return f'{NOISE_TYPES[self.kind].suffix}{percent}{seed}'


def parse_noise(text: str) -> NoiseFlag:
    """Read ``TYPE:RATE[:seedN]``.

    Args:
        text (str): As ``symmetric:0.3``, ``pair:0.1:seed1``, or with one rate per
            class ``classdep:0.1,0.5,0.3,0,0.4,0.2,0``.

    Raises:
        ValueError: The form, the type or a rate is wrong.
    """
    form = 'write TYPE:RATE or TYPE:RATE:seedN, as --noise symmetric:0.3'
    match = _FLAG.fullmatch(text)
    if match is None:
        raise ValueError(f'--noise {text}: this is not of the form; {form}.')
    kind = match['kind']
    if kind not in NOISE_TYPES:
        raise ValueError(
            f'--noise {text}: there is no noise type {kind!r}. Choose from '
            f'{", ".join(NOISE_TYPES)}.'
        )
    try:
        rates = tuple(float(rate) for rate in match['rates'].split(','))
    except ValueError:
        raise ValueError(
            f'--noise {text}: {match["rates"]!r} is no number; {form}.'
        ) from None
    for rate in rates:
        if not 0 <= rate < 1:
            raise ValueError(
                f'--noise {text}: the rate {rate:g} is not in [0, 1), and it is the '
                f'share of labels to change. For 30 % write {kind}:0.3.'
            )
    if len(rates) > 1 and kind != 'classdep':
        raise ValueError(
            f'--noise {text}: {kind} noise has one rate, and this gives '
            f'{len(rates)}. Only classdep takes one rate per class.'
        )
    return NoiseFlag(kind, rates, None if match['seed'] is None else int(match['seed']))


def plant_noise(cfg: Config, flag: NoiseFlag) -> Config:
    """Return the config with this noise in its training labels.

    A noise that the config plants already is replaced. If it is of the same type,
    only its rate changes, and its seed if the flag names one. A model that is told
    the noise rate (``model.noise_rate``) is told the new one; a config that sets
    ``noise_rate=None`` wants an estimate and keeps it.

    Args:
        cfg (Config): Config of a training; stays as it is.
        flag (NoiseFlag): See :func:`parse_noise`.

    Raises:
        ValueError: Noise does not fit this data set.
    """
    cfg = copy.deepcopy(cfg)
    dataset = _innermost(cfg)
    given = f'--noise {flag.kind}'
    old = dataset.get('label_noise') or {}
    if _type_of(old) == 'Annotators':
        raise ValueError(
            f'{given}: this data set has several annotators, and each has a noise of '
            'its own. Change them in the config '
            '(train_dataloader.dataset.label_noise.generators).'
        )
    if dataset.get('noisy_list'):
        raise ValueError(
            f'{given}: this data set reads noisy labels from '
            f'{dataset["noisy_list"]}, and planted noise would come on top of them. '
            'Take a config without noisy_list.'
        )
    noise = NOISE_TYPES[flag.kind]
    same = _type_of(old) == noise.generator
    new = dict(old) if same else dict(type=noise.generator)
    if flag.kind == 'classdep':
        classes = _num_classes(cfg, given)
        if len(flag.rates) != classes:
            raise ValueError(
                f'{given}: the data set has {classes} classes, and the flag gives '
                f'{len(flag.rates)} rates. Give one rate per class, with commas.'
            )
        new['rates'] = list(flag.rates)
    else:
        new['rate'] = flag.rates[0]
    if flag.kind == 'asymmetric' and 'mapping' not in new:
        if _type_of(dataset) not in MAPPINGS:
            raise ValueError(
                f'{given}: nobody has said which class of {_type_of(dataset)} is '
                f'taken for which; this is known of {", ".join(MAPPINGS)}. Take '
                'pair noise, or write label_noise with a mapping into a config.'
            )
        new['mapping'] = list(MAPPINGS[_type_of(dataset)].items())
    new['seed'] = new.get('seed', 0) if flag.seed is None else flag.seed
    dataset['label_noise'] = new
    if _is_told(cfg.model):
        cfg.model['noise_rate'] = noise.share(flag.rates, _num_classes(cfg, given))
    return _renamed(cfg, lambda stem: _with_suffix(stem, flag.suffix))


def _innermost(cfg: Config) -> dict:
    """Return the settings of the training set, out of its wrappers."""
    dataset = cfg.train_dataloader.dataset
    while 'dataset' in dataset:
        dataset = dataset['dataset']
    if 'datasets' in dataset:
        raise ValueError(
            f'--noise: the training set is a {dataset["type"]} of several data sets. '
            'Write label_noise into the ones that shall be noisy.'
        )
    return dataset


def _type_of(settings: dict) -> str:
    """Return the registered name, without the scope."""
    return str(settings.get('type', '')).rpartition('.')[2]


def _num_classes(cfg: Config, given: str) -> int:
    number = (cfg.get('data_preprocessor') or {}).get('num_classes')
    if number is None:
        raise ValueError(
            f'{given} needs the number of classes; set data_preprocessor.num_classes.'
        )
    return number


def _is_told(model: dict) -> bool:
    """Whether the model takes the noise rate and the config lets it be told."""
    if 'noise_rate' in model:
        return model['noise_rate'] is not None
    cls = MODELS.get(model['type'])
    return cls is not None and any(
        'noise_rate' in inspect.signature(vars(base)['__init__']).parameters
        for base in inspect.getmro(cls)
        if '__init__' in vars(base) and base is not object
    )


# -- cleaning ---------------------------------------------------------------------
# Methods that clean the labels before a training, by the value of ``--clean``.
CLEANING_HOOKS = {'gaave': 'GAAVEHook'}


def clean_first(cfg: Config, method: str, options: Optional[dict] = None) -> Config:
    """Return the config with a cleaning of the labels before the training.

    Args:
        cfg (Config): Config of a training; stays as it is.
        method (str): Key of :data:`CLEANING_HOOKS`.
        options (dict, optional): Settings of the hook for this data set, see
            :func:`cleaning_options`. Defaults to those of the hook.

    Raises:
        ValueError: The config cleans already.
    """
    cfg = copy.deepcopy(cfg)
    hooks = list(cfg.get('custom_hooks') or [])
    name = CLEANING_HOOKS[method]
    if any(_type_of(hook) == name for hook in hooks):
        raise ValueError(
            f'--clean {method}: this config has a {name} already. Leave --clean out, '
            'or take the config without it.'
        )
    if options is not None:
        cfg.cleaning = copy.deepcopy(options)
    cfg.custom_hooks = [*hooks, copy.deepcopy(options or dict(type=name))]
    return _renamed(cfg, lambda stem: f'{method}_{stem}')


def cleaning_options(path: str) -> Optional[dict]:
    """Find the cleaning options of the data set that a config file inherits.

    They lie in ``_base_/cleaning/``, in a file named like that of the data set in
    ``_base_/datasets/`` or like one that this inherits from.

    Args:
        path (str): Config file.

    Returns:
        dict, optional: ``cleaning`` of that file; None if there is none.
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
    """Files that a config file inherits from, the nearest of a branch first."""
    # mmengine has no public function for it.
    for base in Config._get_base_files(path):
        # Bases of other packages (``mmpretrain::...``) have no cleaning of ours.
        if '::' not in base:
            file = osp.normpath(osp.join(osp.dirname(path), base))
            yield file
            yield from _bases(file)


# -- both -------------------------------------------------------------------------
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
    """Put a noise into the name of a config, in place of the one it names."""
    if _SUFFIX.search(stem):
        return _SUFFIX.sub(f'_{suffix}', stem)
    return f'{stem}_{suffix}'


def _renamed(cfg: Config, rename: Callable[[str], str]) -> Config:
    """Name a config anew, after which a run and its folder are called."""
    if cfg.filename:
        folder, name = osp.split(cfg.filename)
        stem, ending = osp.splitext(name)
        # Config's own __setattr__ would add a setting.
        object.__setattr__(
            cfg, '_filename', osp.join(folder, f'{rename(stem)}{ending}')
        )
    return cfg


def find_variant(path: str) -> Optional[Tuple[str, List[str]]]:
    """Find the config file and the flags that a name of a config stands for.

    Args:
        path (str): As ``configs/gaave/gaave_ce_r18_rafdb_pair10.py``.

    Returns:
        tuple[str, list[str]], optional: ``configs/ce/ce_r18_rafdb.py`` and
        ``['--noise', 'pair:0.1', '--clean', 'gaave']``; of a file that exists the
        file without flags; None if no file and flags give this name.
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


def replacement(path: str) -> Optional[str]:
    """Return the command line that stands for a config that does not exist.

    See :func:`find_variant`; None if there is no such line.
    """
    found = find_variant(path)
    if found is None:
        return None
    file, flags = found
    return ' '.join(['python tools/train.py', file, *flags])


def read_variant(path: str) -> Config:
    """Read the config that a name stands for, see :func:`find_variant`.

    Raises:
        FileNotFoundError: The name stands for nothing.
    """
    found = find_variant(path)
    if found is None:
        raise FileNotFoundError(f'{path}: there is no such config.')
    file, flags = found
    given = dict(zip(flags[::2], flags[1::2]))
    return derive(Config.fromfile(file), given.get('--noise'), given.get('--clean'))


def _flag_of(match: re.Match) -> str:
    """Return the ``--noise`` of a suffix that :data:`_SUFFIX` has found."""
    suffix, percent, seed = match.groups()
    kind = next(k for k, t in NOISE_TYPES.items() if t.suffix == suffix)
    rates = ','.join(f'{float(number) / 100:g}' for number in percent.split('-'))
    return ':'.join([kind, rates, *([seed] if seed else [])])
