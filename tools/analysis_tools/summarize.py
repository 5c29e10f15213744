"""Print a table of several runs, with mean and standard deviation over seeds.

    python tools/analysis_tools/summarize.py WORK_DIR [WORK_DIR ...]

The tool reads ``summary.json`` and shows means over the last epochs. These are the
last five, unless a config sets another number; if runs differ in this number, a
column shows it. Work dirs are one row if their names differ only in an ending such as
``_seed2``. Work dirs of the same name in different folders are also one row.
"""

import argparse

from mmfer.analysis.runs import read_jsons
from mmfer.analysis.tables import TAIL_MEAN, summary_table
from mmfer.cli import run_tool
from mmfer.utils.files import write_atomic


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('work_dirs', nargs='+', help='work dirs of runs')
    parser.add_argument(
        '--metrics',
        nargs='+',
        default=['accuracy/top1', 'accuracy/mean_class'],
        help='names in summary.json, one column each',
    )
    parser.add_argument(
        '--statistic',
        default=TAIL_MEAN,
        help='last, best, last5_mean or similar, or '
        f'{TAIL_MEAN} (default): the mean over the last epochs, for any number',
    )
    parser.add_argument('--digits', type=int, default=2, help='decimal places')
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
        write_atomic(args.out, f'{table}\n'.encode())


if __name__ == '__main__':
    run_tool(main)
