"""Accuracy after rejecting the least sure predictions, of several runs.

    python tools/analysis_tools/rejection_curve.py RUN [RUN ...]

A run is a work dir with ``predictions.pkl``, or such a file, written by
``python tools/test.py CONFIG CHECKPOINT --out WORK_DIR/predictions.pkl``. Each
has a solid line by its learned uncertainty, and a dashed one by plain
confidence, unless they are the same.
"""

import argparse

from mmfer.analysis.figures import rejection_figure
from mmfer.analysis.runs import open_runs
from mmfer.cli import run_tool, save_figure


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('runs', nargs='+')
    parser.add_argument(
        '--highest', type=float, default=50, help='largest share rejected, per cent'
    )
    parser.add_argument('--out', default='rejection_curve.png')
    args = parser.parse_args()
    if not 0 < args.highest < 100:
        raise ValueError(f'--highest must lie between 0 and 100, got {args.highest}')
    runs = {name: run.predictions for name, run in open_runs(args.runs).items()}
    save_figure(rejection_figure(runs, args.highest / 100), args.out)


if __name__ == '__main__':
    run_tool(main)
