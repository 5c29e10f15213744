"""Label noise: wrong labels that are planted on purpose and reproducibly.

'30 % noise' means different things in different papers. Every definition is
therefore a generator with its own name, which a data-set config gives::

    label_noise=dict(type='SymmetricNoise', rate=0.3, seed=0)

| generator | samples that change | new label | used by |
|---|---|---|---|
| `SymmetricNoise` | exact share | another class | RUL, ReSup, ALUM |
| `UniformNoise` | exact share | any class, the own one included | |
| `PairNoise` | exact share per class | the next class | |
| `AsymmetricNoise` | exact share per class | a given class | CIFAR-10 |
| `ClassDependentNoise` | one exact share for each class | another class | ReSup |
| `BernoulliSymmetricNoise` | drawn per sample | another class | JoCoR code |
| `BernoulliUniformNoise` | drawn per sample | any class | noisyFER code |

- `functional`: each definition as a function; labels and a random generator
  in, new labels out.
- `generators`: the components around these functions.
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
    'check_seed',
    'check_va',
    'labels_sha256',
]
