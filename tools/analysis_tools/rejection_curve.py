"""Plot the accuracy after a rejection of the least certain predictions.

    python tools/analysis_tools/rejection_curve.py RUN [RUN ...]

RUN is a work dir with ``predictions.npz``, or the path of such a file. This command
writes the file:
``mmfer test CONFIG CHECKPOINT --out WORK_DIR/predictions.npz``

Each run has a solid line (rejection by learned uncertainty) and a dashed line
(rejection by confidence). If both are the same, only the dashed line is drawn.
"""

import argparse

from mmfer.analysis.figures import rejection_figure
from mmfer.analysis.runs import open_runs
from mmfer.cli import run_tool, save_figure


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('runs', nargs='+', help='work dirs or files of predictions')
    parser.add_argument(
        '--highest', type=float, default=50, help='largest share rejected, per cent'
    )
    parser.add_argument(
        '--out', default='rejection_curve.png', help='file of the figure'
    )
    args = parser.parse_args()
    if not 0 < args.highest < 100:
        raise ValueError(
            f'--highest must lie between 0 and 100, got {args.highest:g}. It is the '
            'largest share of rejected images, in per cent.'
        )
    runs = {name: run.predictions for name, run in open_runs(args.runs).items()}
    save_figure(rejection_figure(runs, args.highest / 100), args.out)


if __name__ == '__main__':
    run_tool(main)
