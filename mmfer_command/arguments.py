"""Arguments of the sub-commands of ``mmfer``, shared with the tools in ``tools/``.

Each function adds arguments to a parser. Nothing here imports torch.
"""

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
)
CLEANING_METHODS = ('gaave',)
DEFAULT_MODEL = 'alum_tiny_ferplus'

CONFIG_HELP = (
    'path of a config, or name of one that mmfer ships, such as '
    'alum_r18_synthfaces_noise30'
)
CLEAN_DESCRIPTION = """\
Clean the labels of a training set with GAAVE, and write the results to files.

CONFIG is any training config. GAAVE's models use its backbone, schedule and seed. If
it has a GAAVEHook, GAAVE uses the options of this hook. The data set is not changed.
These files are written to DIR:

- sample_scores.csv: every sample with its measurements and its decision. To train on
  it: --cfg-options train_dataloader.dataset.decisions=DIR/sample_scores.csv
- cleaned_list.txt or .csv: the images that are not dropped with their new labels, in
  the data set's own format, ready for training. run.json and the last lines of the
  log state the settings with which the data set reads it
- report.txt: human-readable report of the cleaning
- attack_steps.png: histograms of survived steps, divided by the thresholds
- record.json: subsets, histograms, thresholds and base models
- run.json: config, options and versions

A killed run continues when it is started again. Results are known by the contents of
the images: copied images need no new run, changed ones do.
"""
PREDICT_DESCRIPTION = """\
Recognise the expressions of faces, with an uncertainty; works offline.

IMAGE is a file, a folder, or a list: a .txt or .csv file with one path per line. Each
image must show one face, unless --detect-faces finds the faces in it
(pip install "mmfer[face]").
"""


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


def add_variant_arguments(parser: ArgumentParser) -> None:
    """Add ``--noise`` and ``--clean``, see :mod:`mmfer.engine.variants`."""
    parser.add_argument(
        '--noise',
        metavar='TYPE:RATE[:seedN]',
        help='plant noise in the training labels, for example symmetric:0.3 or '
        'pair:0.1:seed1; it replaces the noise of the config; types are '
        f'{", ".join(NOISE_TYPES)}',
    )
    parser.add_argument(
        '--clean',
        choices=list(CLEANING_METHODS),
        help='clean the training labels before the run, with this method',
    )


def train(parser: ArgumentParser) -> None:
    """Add the arguments of ``mmfer train``."""
    parser.add_argument('config', help=CONFIG_HELP)
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='resume from this checkpoint; without a path, from the latest one '
        'in the work dir',
    )
    parser.add_argument(
        '--no-validate', action='store_true', help='do not evaluate during training'
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate with the total batch size',
    )
    parser.add_argument(
        '--no-persistent-workers',
        action='store_true',
        help='start new workers of the data loaders in each epoch',
    )
    add_variant_arguments(parser)
    add_runner_arguments(parser)


def test(parser: ArgumentParser) -> None:
    """Add the arguments of ``mmfer test``."""
    parser.add_argument('config', help=CONFIG_HELP)
    parser.add_argument('checkpoint', help='checkpoint to test')
    parser.add_argument(
        '--out',
        help='file for the results: predictions as .npz, metrics as .json or .yaml',
    )
    parser.add_argument(
        '--out-item',
        choices=['metrics', 'pred'],
        help='content of the file --out: metrics, or predictions (default)',
    )
    parser.add_argument('--show-dir', help='folder for images with their predictions')
    parser.add_argument('--show', action='store_true', help='show results in a window')
    parser.add_argument('--interval', type=int, default=1, help='show every n-th image')
    parser.add_argument(
        '--wait-time', type=float, default=2, help='seconds that each window stays'
    )
    parser.add_argument(
        '--tta',
        action='store_true',
        help='use test-time augmentation: that of the config (tta_pipeline and '
        'tta_model), or else the mean over an image and its mirror image',
    )
    add_runner_arguments(parser)


def clean(parser: ArgumentParser) -> None:
    """Add the arguments of ``mmfer clean``."""
    parser.add_argument('config', help=CONFIG_HELP)
    parser.add_argument(
        '--out', required=True, metavar='DIR', help='folder for the results'
    )
    parser.add_argument(
        '--stages',
        help='folder of the stages (default: OUT/cleaning); runs with different '
        'options can share it, and then repeat only the stages that differ',
    )
    add_runner_arguments(parser)


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


def predict(parser: ArgumentParser) -> None:
    """Add the arguments of ``mmfer predict``."""
    parser.add_argument('image', help='image, folder of images, or list of images')
    add_model_arguments(parser)
    parser.add_argument(
        '--out', metavar='FILE.csv', help='write the results to this table, too'
    )
    parser.add_argument(
        '--show-dir', metavar='DIR', help='folder for pictures with the results'
    )
    parser.add_argument(
        '--device', help='cpu, cuda, cuda:1, ...; default: the best one available'
    )


def doctor(parser: ArgumentParser) -> None:
    """Add the arguments of ``mmfer doctor``."""
    parser.add_argument(
        '--fast',
        action='store_true',
        help='only look at the installation; do not import torch or train a step',
    )
