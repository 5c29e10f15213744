"""Label noise: wrong labels that are planted on purpose and reproducibly.

'30 % noise' means different things in different papers. So each definition is a
generator with its own name. The config of a data set names the generator::

    label_noise=dict(type='SymmetricNoise', rate=0.3, seed=0)

| generator | samples that change | new label | used by |
|---|---|---|---|
| `SymmetricNoise` | exact share | another class | RUL, ReSup, ALUM |
| `UniformNoise` | exact share | any class, own included | |
| `PairNoise` | exact share per class | the next class | |
| `AsymmetricNoise` | exact share per class | the class of a mapping | CIFAR-10 |
| `ClassDependentNoise` | one exact share for each class | another class | ReSup |
| `BernoulliSymmetricNoise` | drawn per sample | another class | JoCoR code |
| `BernoulliUniformNoise` | drawn per sample | any class, own included | noisyFER code |
| `VoteNoise` | drawn per sample | the vote of one of FERPlus's annotators | |

- `functional`: each definition as a function, from labels and a random generator
  to new labels.
- `generators`: classes around these functions, for configs.
- `votes`: labels that people gave, for data sets with the votes of annotators.
- `annotators`: several annotators, each with their own generator.
- `valence_arousal`: noise on valence and arousal.
- `checks`: checks of rates, seeds, labels and class mappings.
"""

from .annotators import Annotators
from .checks import check_seed
from .functional import CIFAR10_CONFUSIONS, labels_sha256
from .generators import (
    AsymmetricNoise,
    BernoulliSymmetricNoise,
    BernoulliUniformNoise,
    ClassDependentNoise,
    LabelNoise,
    PairNoise,
    SymmetricNoise,
    UniformNoise,
)
from .valence_arousal import MISSING_VA, GaussianVANoise, check_va
from .votes import VoteNoise

__all__ = [
    'Annotators',
    'AsymmetricNoise',
    'BernoulliSymmetricNoise',
    'BernoulliUniformNoise',
    'CIFAR10_CONFUSIONS',
    'ClassDependentNoise',
    'GaussianVANoise',
    'LabelNoise',
    'MISSING_VA',
    'PairNoise',
    'SymmetricNoise',
    'UniformNoise',
    'VoteNoise',
    'check_seed',
    'check_va',
    'labels_sha256',
]
