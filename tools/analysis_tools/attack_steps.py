"""Plot how many steps of GAAVE's attack the predictions survive.

    python tools/analysis_tools/attack_steps.py sample_scores.csv

The figure has one histogram for each subset, with the threshold that divides it.
The table comes from ``mmfer clean``, or from a run with a GAAVEHook.
"""

import argparse

from mmfer.analysis.cleaning import read_label_decisions
from mmfer.cli import run_tool, save_figure
from mmfer.methods.gaave.report import plot_steps


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('table', help='sample_scores.csv with the columns of GAAVE')
    parser.add_argument('--out', default='attack_steps.png', help='file of the figure')
    args = parser.parse_args()
    save_figure(plot_steps(read_label_decisions(args.table)), args.out)


if __name__ == '__main__':
    run_tool(main)
