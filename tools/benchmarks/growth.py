"""Measure how time and memory grow with the number of samples.

    python tools/benchmarks/growth.py [--sizes 12271 50000 280000] [--out FILE.csv]

The tool makes training sets in the layout of AffectNet in a temporary folder. On each
of them it measures the work around a model, which needs no network:

- ``start``: build the data set: read the table, check the files, add label noise
- ``subset``: take three quarters of the samples, and copy them to another process
- ``epoch``: draw the indices of two samplers, change all labels, and read the
  annotation of every sample, without images
- ``refit``: fit a beta and a Gaussian mixture, and weigh all samples
- ``scores``: write ``sample_scores.csv``
- ``decisions``: build the data set with the decisions of that table
- ``gaave``: split, refactor and decide, and write table, report and list
- ``hashes``: hash the contents of all images, as GAAVE does to find its stages
- ``review``: write the page to review labels

It prints one row for each stage: seconds for each size; the exponent of the time
between the two largest sizes (1 is linear); and microseconds and bytes that each
further sample costs between these sizes. ``peak`` is the largest growth of the
resident memory, ``kept`` what remains while the result exists. Linux only.
"""

import argparse
import csv
import io
import sys
import tempfile
from contextlib import redirect_stdout

from mmfer.analysis.benchmarks.growth import STAGES, measure, summarize_costs
from mmfer.cli import run_tool
from mmfer.utils.files import write_atomic


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--sizes', type=int, nargs='+', default=[12271, 50000, 280000])
    parser.add_argument('--stages', nargs='+', choices=STAGES, default=list(STAGES))
    parser.add_argument('--folder', help='folder for the made sets, with some GB free')
    parser.add_argument('--out', help='CSV file to write the table to, too')
    args = parser.parse_args()
    if len(args.sizes) < 2 or args.sizes != sorted(set(args.sizes)):
        parser.error('--sizes must be at least two different numbers, ascending')
    return args


def main() -> None:
    args = parse_args()
    with (
        redirect_stdout(sys.stderr),
        tempfile.TemporaryDirectory(dir=args.folder) as folder,
    ):
        rows = summarize_costs(measure(args.sizes, folder, args.stages))
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator='\n')
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {k: f'{v:.4g}' if isinstance(v, float) else v for k, v in row.items()}
        )
    print(text.getvalue(), end='')
    if args.out:
        write_atomic(args.out, text.getvalue().encode())


if __name__ == '__main__':
    run_tool(main)
