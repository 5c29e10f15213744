"""Draw wrong labels left against right labels kept, for cleanings of planted noise.

    python tools/benchmarks/cleaning_curve.py NAME=TABLE [...] --figure FILE.png \
        [--out FILE.csv]

A TABLE is a ``sample_scores.csv`` with decisions and clean labels, as
``tools/clean_labels.py`` writes it for a config with ``label_noise``. The line shows
what each threshold of ``noise_score`` would leave, the marker the decisions. The tool
prints, for several shares of right labels that are kept, how many wrong ones are left.
"""

import argparse
import csv
import io

from mmfer.analysis.benchmarks.cleaning_curve import curve_figure, curve_rows
from mmfer.analysis.benchmarks.label_cleaning import read_clean_table
from mmfer.cli import run_tool
from mmfer.utils.files import write_atomic, write_figure


def named_table(text: str) -> tuple:
    """Split ``NAME=TABLE``."""
    name, equals, path = text.partition('=')
    if not (name and equals and path):
        raise argparse.ArgumentTypeError(
            f'{text!r} is not NAME=TABLE, such as balanced=work_dirs/sample_scores.csv'
        )
    return name, path


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('tables', nargs='+', type=named_table)
    parser.add_argument('--figure', required=True, help='image file to write')
    parser.add_argument('--out', help='CSV file to write the printed table to')
    parser.add_argument(
        '--kept',
        nargs='+',
        type=float,
        default=[50, 60, 70, 80, 85, 90, 95, 100],
        help='right labels to keep, in per cent',
    )
    args = parser.parse_args()
    outside = [share for share in args.kept if not 0 <= share <= 100]
    if outside:
        parser.error(f'--kept {outside[0]:g} is not a per cent value in 0 ... 100')
    tables = {name: read_clean_table(path) for name, path in args.tables}
    if len(tables) < len(args.tables):
        parser.error('two tables have the same NAME; each line needs its own')
    rows = curve_rows(tables, [share / 100 for share in args.kept])
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator='\n')
    writer.writeheader()
    writer.writerows(rows)
    print(text.getvalue(), end='')
    if args.out:
        write_atomic(args.out, text.getvalue().encode())
    write_figure(curve_figure(tables), args.figure)


if __name__ == '__main__':
    run_tool(main)
