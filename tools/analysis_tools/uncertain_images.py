"""Show the most and the least uncertain images, and which are wrong.

    python tools/analysis_tools/uncertain_images.py RUN
    python tools/analysis_tools/uncertain_images.py RUN1 RUN2

A RUN is a work dir with ``predictions.npz``, or the path of such a file. This command
writes the file:
``mmfer test CONFIG CHECKPOINT --out WORK_DIR/predictions.npz``

With several runs, the tool shows images that at least one of them predicts wrong, in
the order of the first one's uncertainty. Below an image stand the uncertainty of each
run, as the share of images of which it is surer, and its prediction.
"""

import argparse

import numpy as np

from mmfer.analysis.runs import open_runs
from mmfer.analysis.uncertain_faces import (
    compared_figure,
    extremes,
    hard_examples,
    uncertain_figure,
)
from mmfer.cli import run_tool, save_figure


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'runs', nargs='+', metavar='RUN', help='work dir or file of predictions'
    )
    parser.add_argument(
        '--count', type=int, default=24, help='images, of each kind for one run'
    )
    parser.add_argument('--columns', type=int, default=8, help='images side by side')
    parser.add_argument('--names', nargs='+', help='names of the runs')
    parser.add_argument(
        '--out', default='uncertain_images.png', help='file of the figure'
    )
    args = parser.parse_args()
    opened = open_runs(args.runs)
    names = args.names or list(opened)
    if len(names) != len(opened):
        parser.error(f'{len(names)} --names for {len(opened)} runs: give one each.')
    first = next(iter(opened.values()))
    if len(opened) == 1:
        extreme = extremes(first.predictions.uncertainty, args.count)
        images = first.images(np.concatenate(extreme).tolist())
        figure = uncertain_figure(
            first.predictions, images, extreme, first.classes, args.columns
        )
    else:
        runs = {name: run.predictions for name, run in zip(names, opened.values())}
        shown = hard_examples(runs, args.count)
        images = first.images(shown.tolist())
        figure = compared_figure(runs, images, shown, first.classes, args.columns)
    save_figure(figure, args.out)


if __name__ == '__main__':
    run_tool(main)
