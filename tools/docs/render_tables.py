"""Render the tables of Markdown pages from the files in ``docs/results``.

``python tools/docs/render_tables.py`` rewrites every table that is between two
comments. With ``--check`` it changes nothing, and fails if a table is not up to date.
The first comment names a CSV file and has a format string for each column::

    <!-- table: open_protocol.csv
    method: {method}
    accuracy: {accuracy:.2f}[ ± {accuracy_std:.2f}]
    -->

    <!-- /table -->

A part in brackets is omitted if one of its fields is empty. A cell stays empty if a
field outside of brackets is empty. ``where: method=ce,rul`` before the columns selects
rows.
"""

import argparse
import sys
from pathlib import Path

from table_rendering import update

ROOT = Path(__file__).resolve().parents[2]
PAGES = ('README.md', 'docs/**/*.md', 'configs/*/README.md')


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        '--check', action='store_true', help='change nothing, fail if a table is old'
    )
    args = parser.parse_args()
    old = []
    for path in sorted(path for pattern in PAGES for path in ROOT.glob(pattern)):
        text = path.read_text(encoding='utf-8')
        new = update(text, ROOT / 'docs/results')
        if new != text:
            old.append(str(path.relative_to(ROOT)))
            if not args.check:
                path.write_text(new, encoding='utf-8')
    if old and args.check:
        sys.exit(
            f'tables are not up to date with docs/results in {", ".join(old)}: '
            'run python tools/docs/render_tables.py and commit the pages.'
        )
    print(f'{len(old)} pages changed')


if __name__ == '__main__':
    main()
