"""Plot a reliability diagram with the expected calibration error.

    python tools/analysis_tools/reliability.py RUN [RUN ...]

RUN is a work dir with ``predictions.npz``, or the path of such a file. This command
writes the file:
``mmfer test CONFIG CHECKPOINT --out WORK_DIR/predictions.npz``
"""

import argparse

from mmfer.analysis.figures import reliability_figure
from mmfer.analysis.runs import open_runs
from mmfer.cli import run_tool, save_figure


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('runs', nargs='+', help='work dirs or files of predictions')
    parser.add_argument('--bins', type=int, default=15, help='bins of equal width')
    parser.add_argument('--out', default='reliability.png', help='file of the figure')
    args = parser.parse_args()
    runs = {name: run.predictions for name, run in open_runs(args.runs).items()}
    save_figure(reliability_figure(runs, args.bins), args.out)


if __name__ == '__main__':
    run_tool(main)
