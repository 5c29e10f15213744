"""Plot metrics over the epochs, for several runs.

    python tools/analysis_tools/learning_curves.py WORK_DIR [WORK_DIR ...]

The tool reads ``history.json``, so a run need not be finished.
"""

import argparse

from mmfer.analysis.figures import learning_figure
from mmfer.analysis.runs import read_jsons
from mmfer.cli import run_tool, save_figure

DEFAULT = ['accuracy/top1', 'training/given_accuracy', 'training/clean_accuracy']


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'work_dirs', nargs='+', help='work dirs of runs, finished or not'
    )
    parser.add_argument(
        '--metrics',
        nargs='+',
        default=DEFAULT,
        help='names in history.json, of metrics or losses (default: accuracy on '
        'validation images, and on training images if '
        'default_hooks.sample_scores.interval is set)',
    )
    parser.add_argument(
        '--out', default='learning_curves.png', help='file of the figure'
    )
    args = parser.parse_args()
    histories = read_jsons(args.work_dirs, 'history.json')
    save_figure(learning_figure(histories, args.metrics), args.out)


if __name__ == '__main__':
    run_tool(main)
