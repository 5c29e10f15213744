"""Plot a confusion matrix, in per cent of the true classes.

    python tools/analysis_tools/confusion_matrix.py RUN

RUN is a work dir with ``predictions.npz``, or the path of such a file. This command
writes the file:
``mmfer test CONFIG CHECKPOINT --out WORK_DIR/predictions.npz``
"""

import argparse

from mmfer.analysis.figures import confusion_figure
from mmfer.analysis.runs import open_run
from mmfer.cli import run_tool, save_figure


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('run', help='work dir or file of predictions')
    parser.add_argument(
        '--out', default='confusion_matrix.png', help='file of the figure'
    )
    args = parser.parse_args()
    run = open_run(args.run)
    save_figure(confusion_figure(run.predictions, run.classes), args.out)


if __name__ == '__main__':
    run_tool(main)
