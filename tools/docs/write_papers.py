"""Write ``docs/papers.md`` from ``configs/<method>/paper.yml``.

With ``--check``, nothing is changed: it fails if the page is not up to date.
"""

import argparse
import sys
from pathlib import Path
from typing import List

from paper_rows import Paper, read_paper

ROOT = Path(__file__).resolve().parents[2]
# In the order in which the page has them.
ORDER = ('alum', 'rul', 'resup', 'gaave', 'jointgan')


HEAD = """# The papers, row by row

<!-- Written by python tools/docs/write_papers.py from configs/*/paper.yml. -->

Each table and figure of the five papers, with the command of each row. Below a table
stand the rows that mmfer does not have, with the reason. The data sets must be
[on your disk](tasks/data_sets.md).

A command trains once, with the seed of the config; add `randomness.seed=1` to its
`--cfg-options` to set another one. What was measured, and on which data, stands on the
page of each [method](methods/index.md).

The rows of ALUM, GAAVE and the joint GAN have the preset `paper`, the printed
equations. Those of RUL and ReSup have `official`, the published code that computed the
tables. Each row has a work dir of its own, which the commands of the figures read.
"""


def page(papers: List[Paper]) -> str:
    """Return the text of ``docs/papers.md``.

    Args:
        papers (list[Paper]): The papers in their order on the page.
    """
    lines = [HEAD]
    for paper in papers:
        lines += [f'## {paper.title}', '', paper.reference, '']
        for heading, rows in paper.parts.items():
            lines += [f'### {paper.title}, {heading}', '']
            commands = [row for row in rows if row.kind != 'missing']
            if commands:
                lines.append('```bash')
                for row in commands:
                    start = 'python tools/train.py ' if row.kind == 'train' else ''
                    lines += [f'# {row.name}', start + row.text]
                lines += ['```', '']
            missing = [row for row in rows if row.kind == 'missing']
            lines += [f'- {row.name}: {row.text}.' for row in missing]
            lines += [''] * bool(missing)
    return '\n'.join(lines).rstrip() + '\n'


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        '--check', action='store_true', help='change nothing, fail if the page is old'
    )
    args = parser.parse_args()
    files = [ROOT / f'configs/{method}/paper.yml' for method in ORDER]
    text = page([read_paper(path) for path in files if path.is_file()])
    path = ROOT / 'docs/papers.md'
    changed = not path.is_file() or path.read_text(encoding='utf-8') != text
    if changed and args.check:
        sys.exit(
            'docs/papers.md is not up to date: run python tools/docs/write_papers.py '
            'and commit the page.'
        )
    if changed:
        path.write_text(text, encoding='utf-8')
    print(f'docs/papers.md is {"written" if changed else "up to date"}.')


if __name__ == '__main__':
    main()
