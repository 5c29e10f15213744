"""Show the most and the least uncertain images, and which are wrong.

    python tools/analysis_tools/uncertain_images.py RUN

RUN is a work dir with ``predictions.npz``, or the path of such a file. This command
writes the file:
``mmfer test CONFIG CHECKPOINT --out WORK_DIR/predictions.npz``
"""

import argparse

import numpy as np

from mmfer.analysis.figures import extremes, uncertain_figure
from mmfer.analysis.runs import open_run
from mmfer.cli import run_tool, save_figure


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('run', help='work dir or file of predictions')
    parser.add_argument('--count', type=int, default=24, help='images of each kind')
    parser.add_argument('--columns', type=int, default=8, help='images side by side')
    parser.add_argument(
        '--out', default='uncertain_images.png', help='file of the figure'
    )
    args = parser.parse_args()
    run = open_run(args.run)
    shown = extremes(run.predictions.uncertainty, args.count)
    save_figure(
        uncertain_figure(
            run.predictions,
            run.images(np.concatenate(shown).tolist()),
            shown,
            run.classes,
            args.columns,
        ),
        args.out,
    )


if __name__ == '__main__':
    run_tool(main)
