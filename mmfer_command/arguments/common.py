"""Arguments that several sub-commands share."""

import argparse
from argparse import ArgumentParser
from typing import Any

# Keys of NOISE_TYPES and CLEANING_HOOKS in mmfer.engine.variants. A test compares them.
NOISE_TYPES = (
    'symmetric',
    'uniform',
    'pair',
    'asymmetric',
    'classdep',
    'bernoulli_symmetric',
    'bernoulli_uniform',
    'vote',
)
CLEANING_METHODS = ('gaave',)
DEFAULT_MODEL = 'alum_tiny_ferplus'

CONFIG_HELP = (
    'path of a config, or name of one that mmfer ships, such as '
    'alum_r18_synthfaces_noise30'
)


class OptionsAction(argparse.Action):
    """mmengine's ``DictAction``, which is imported only if the flag is given."""

    def __call__(self, parser: Any, *args: Any) -> None:
        """Read the values ``key=value``; see mmengine's ``DictAction``."""
        from mmengine.config import DictAction

        DictAction(self.option_strings, self.dest, nargs='+')(parser, *args)


def add_runner_arguments(parser: ArgumentParser) -> None:
    """Add the flags of training and testing, named as in mmpretrain."""
    parser.add_argument('--work-dir', help='folder for logs and results')
    parser.add_argument('--amp', action='store_true', help='use mixed precision')
    parser.add_argument(
        '--no-pin-memory',
        action='store_true',
        help='switch pin_memory off in all data loaders',
    )
    parser.add_argument(
        '--trust-checkpoint',
        action='store_true',
        help='load a checkpoint that torch refuses to load safely; this can run '
        'code that the file contains',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=OptionsAction,
        help='settings that override the config, as key=value; write lists as '
        'key="[a,b]" or key=a,b, without white space',
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='job launcher',
    )
    # torch.distributed.launch passes this argument; torchrun sets LOCAL_RANK.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def add_data_arguments(parser: ArgumentParser) -> None:
    """Add ``--data`` and what belongs to it, see :mod:`mmfer.engine.own_data`."""
    parser.add_argument(
        '--data',
        metavar='PATH',
        help='your images in place of those of the config: a folder with one folder '
        'per class (or with train/ and val/ of this form), or a list of images and '
        'labels; without images for evaluation, a tenth is held out',
    )
    parser.add_argument(
        '--val-data', metavar='PATH', help='your images for evaluation, in this form'
    )
    parser.add_argument(
        '--classes',
        metavar='NAMES',
        help='names of your classes, in the order of the labels: a,b,c or a file with '
        'one name per line (default: the folders)',
    )


def add_variant_arguments(parser: ArgumentParser) -> None:
    """Add ``--noise`` and ``--clean``, see :mod:`mmfer.engine.variants`."""
    parser.add_argument(
        '--noise',
        metavar='TYPE:RATE[:seedN]',
        help='plant noise in the training labels, for example symmetric:0.3, '
        'pair:0.1:seed1 or vote; it replaces the noise of the config; types are '
        f'{", ".join(NOISE_TYPES)}',
    )
    parser.add_argument(
        '--clean',
        choices=list(CLEANING_METHODS),
        help='clean the training labels before the run, with this method',
    )


def add_model_arguments(parser: ArgumentParser) -> None:
    """Add what chooses a trained model, and how it looks at images."""
    parser.add_argument(
        '--model',
        default=DEFAULT_MODEL,
        help='name in mmfer.list_models(), work dir, or config '
        f'(default: {DEFAULT_MODEL})',
    )
    parser.add_argument('--checkpoint', help="weights (default: the model's own)")
    parser.add_argument(
        '--detect-faces', action='store_true', help='find the faces in the images'
    )
    parser.add_argument(
        '--target-error',
        type=float,
        metavar='PERCENT',
        help='reject uncertain predictions, so that at most this share of the '
        'others is wrong',
    )
