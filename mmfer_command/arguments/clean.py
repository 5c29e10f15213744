"""Arguments of ``mmfer clean``."""

from argparse import ArgumentParser

from .common import CONFIG_HELP, add_data_arguments, add_runner_arguments

DESCRIPTION = """\
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


def add_arguments(parser: ArgumentParser) -> None:
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
    parser.add_argument(
        '--scores',
        metavar='FILE.csv',
        help='sample_scores.csv of `mmfer scan`: base models learn without the '
        'samples that it relabels or drops',
    )
    add_data_arguments(parser)
    add_runner_arguments(parser)
