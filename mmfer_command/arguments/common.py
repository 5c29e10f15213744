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

CONFIG_HELP = 'file, or a name in `mmfer models --configs`'


RARE = 'rarely needed'


class OptionsAction(argparse.Action):
    """mmengine's ``DictAction``, which is imported only if the flag is given."""

    def __call__(self, parser: Any, *args: Any) -> None:
        """Read the values ``key=value``; see mmengine's ``DictAction``."""
        from mmengine.config import DictAction

        try:
            DictAction(self.option_strings, self.dest, nargs='+')(parser, *args)
            if '' in getattr(args[0], self.dest):
                raise ValueError('a key is empty')
        except (ValueError, AssertionError, SyntaxError) as error:
            values = ' '.join(map(str, args[1]))
            parser.error(
                f'--cfg-options {values}: each setting has the form key=value '
                f'without white space ({error})'
            )


def add_runner_arguments(parser: ArgumentParser) -> None:
    """Add the flags of training and testing, named as in mmpretrain."""
    parser.add_argument('--work-dir', metavar='DIR', help='folder for logs and results')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        metavar='KEY=VALUE',
        action=OptionsAction,
        help='override settings of the config; lists as a,b',
    )
    parser.add_argument('--amp', action='store_true', help='use mixed precision')
    parser.add_argument(
        '-v',
        '--verbose',
        action='store_true',
        help='show the whole log, and tracebacks of errors',
    )
    rare = rarely_needed(parser)
    rare.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='job launcher of several processes',
    )
    rare.add_argument(
        '--trust-checkpoint',
        action='store_true',
        help='load a checkpoint even if it may run code',
    )
    rare.add_argument(
        '--no-pin-memory', action='store_true', help='pin_memory=False in all loaders'
    )
    # torch.distributed.launch passes this argument; torchrun sets LOCAL_RANK.
    rare.add_argument(
        '--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS
    )


def rarely_needed(parser: ArgumentParser) -> Any:
    """Return the group of flags that few people need, at the end of the help."""
    for group in parser._action_groups:
        if group.title == RARE:
            return group
    return parser.add_argument_group(RARE)


def add_data_arguments(parser: ArgumentParser) -> None:
    """Add ``--data`` and what belongs to it, see :mod:`mmfer.engine.own_data`."""
    parser.add_argument(
        '--data',
        metavar='PATH',
        help='your images: a folder per class, or a list with labels',
    )
    parser.add_argument(
        '--val-data',
        metavar='PATH',
        help='your images for evaluation (default: a tenth)',
    )
    parser.add_argument(
        '--classes',
        metavar='NAMES',
        help='names of your classes: a,b,c or a file, one per line',
    )


def add_variant_arguments(parser: ArgumentParser) -> None:
    """Add ``--noise`` and ``--clean``, see :mod:`mmfer.engine.variants`."""
    parser.add_argument(
        '--noise',
        metavar='TYPE:RATE[:seedN]',
        help=f'plant noise in the training labels: {", ".join(NOISE_TYPES)}',
    )
    parser.add_argument(
        '--clean',
        choices=list(CLEANING_METHODS),
        help='clean the training labels first',
    )


def add_init_argument(parser: ArgumentParser) -> None:
    """Add ``--init``, see :mod:`mmfer.engine.initial_weights`."""
    parser.add_argument(
        '--init',
        metavar='NAME|FILE',
        help='weights to start from: pretrained (ImageNet), alum_tiny_ferplus, a '
        'checkpoint, a work dir or a face network',
    )


def add_model_arguments(parser: ArgumentParser) -> None:
    """Add what chooses a trained model, and how it looks at images."""
    parser.add_argument(
        '--model',
        default=DEFAULT_MODEL,
        help=f'name in `mmfer models`, work dir, or config (default: {DEFAULT_MODEL})',
    )
    parser.add_argument('--checkpoint', help="weights (default: the model's own)")
    parser.add_argument(
        '--faces',
        dest='detect_faces',
        action='store_true',
        help='find the faces in photos (needs the extra [face], or --detector)',
    )
    # The name of --faces until mmfer 0.2.
    parser.add_argument('--detect-faces', action='store_true', help=argparse.SUPPRESS)
    parser.add_argument(
        '--detector',
        metavar='FILE.onnx',
        help='find faces with this YuNet file instead of dlib',
    )
    parser.add_argument(
        '--target-error',
        type=float,
        metavar='PERCENT',
        help='reject uncertain predictions, so that at most this share of the '
        'others is wrong',
    )
