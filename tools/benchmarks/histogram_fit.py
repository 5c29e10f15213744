"""Measure how exactly a noise model is fitted to a histogram of the scores.

    python tools/benchmarks/histogram_fit.py [--samples 280000] [--out FILE.csv]

The tool fits both mixtures to made scores of three shapes, and to histograms of them.
It prints the largest change of the posterior for each number of bins, and, as a
measure of chance, the largest change in fits to bootstrap samples of the scores.
"""

import argparse
import csv
import io

from mmfer.analysis.benchmarks.histogram_fit import measure
from mmfer.cli import run_tool
from mmfer.utils.files import write_atomic


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--samples', type=int, default=280000)
    parser.add_argument('--bins', type=int, nargs='+', default=[256, 1024, 4096, 16384])
    parser.add_argument('--out', help='CSV file to write the table to, too')
    args = parser.parse_args()
    rows = measure(args.samples, args.bins)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator='\n')
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {k: f'{v:.1g}' if isinstance(v, float) else v for k, v in row.items()}
        )
    print(text.getvalue(), end='')
    if args.out:
        write_atomic(args.out, text.getvalue().encode())


if __name__ == '__main__':
    run_tool(main)
