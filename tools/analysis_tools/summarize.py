"""A table over several trainings, mean and spread over seeds.

    python tools/analysis_tools/summarize.py WORK_DIR [WORK_DIR ...]

reads ``summary.json``: means over the last epochs, five unless a config says
otherwise; where trainings differ in that, a column says so. Work dirs that
differ in an ending as ``_seed2``, or that have the same name in several
folders, are one row.
"""

import argparse

from mmfer.analysis.runs import read_jsons
from mmfer.analysis.tables import TAIL_MEAN, summary_table
from mmfer.cli import run_tool


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('work_dirs', nargs='+')
    parser.add_argument(
        '--metrics', nargs='+', default=['accuracy/top1', 'accuracy/mean_class']
    )
    parser.add_argument(
        '--statistic',
        default=TAIL_MEAN,
        help='last, best, last5_mean or the like, or '
        f'{TAIL_MEAN}: that over the last epochs which a run '
        'has (default)',
    )
    parser.add_argument('--digits', type=int, default=2)
    parser.add_argument('--out', help='file for the table, in Markdown')
    args = parser.parse_args()
    table = summary_table(
        read_jsons(args.work_dirs, 'summary.json'),
        args.metrics,
        args.statistic,
        args.digits,
    )
    print(table)
    if args.out is not None:
        with open(args.out, 'w') as file:
            file.write(f'{table}\n')


if __name__ == '__main__':
    run_tool(main)
