"""Show test images with their label and the predictions of several runs.

    python tools/analysis_tools/prediction_examples.py RUN [RUN ...]

The last run is the one of interest. It is wrong in the last column and right in all
others. Images on which the other runs are wrong come first.

RUN is a work dir with ``predictions.npz``, or the path of such a file. This command
writes the file:
``mmfer test CONFIG CHECKPOINT --out WORK_DIR/predictions.npz``
"""

import argparse

import numpy as np

from mmfer.analysis.examples import check_same_images, choose_examples, examples_figure
from mmfer.analysis.runs import open_runs
from mmfer.cli import run_tool, save_figure
from mmfer.utils.checks import whole_number


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('runs', nargs='+', help='work dirs or files of predictions')
    parser.add_argument('--rows', type=int, default=5, help='rows of images')
    parser.add_argument('--columns', type=int, default=5, help='images side by side')
    parser.add_argument('--seed', type=int, default=0, help='seed of the choice')
    parser.add_argument(
        '--out', default='prediction_examples.png', help='file of the figure'
    )
    args = parser.parse_args()
    whole_number('prediction_examples.py', '--rows', args.rows, 1)
    whole_number('prediction_examples.py', '--columns', args.columns, 2)
    opened = open_runs(args.runs)
    runs = {name: run.predictions for name, run in opened.items()}
    check_same_images(runs)
    correct = np.stack([run.correct for run in runs.values()])
    grid = choose_examples(correct, args.rows, args.columns, args.seed)
    last = list(opened.values())[-1]
    images = last.images(grid[grid >= 0].tolist())
    save_figure(examples_figure(runs, images, grid, last.classes), args.out)


if __name__ == '__main__':
    run_tool(main)
