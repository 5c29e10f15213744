"""Help that fits a screen of 80 columns."""

import argparse
import shutil
import textwrap
from typing import Any

# Most lines of a help; a test counts them.
MOST_LINES = 40
WIDTH = 80


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Formatter that keeps line breaks, with room for the texts beside the flags."""

    def __init__(self, prog: str, **kwargs: Any):
        columns = min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns)
        super().__init__(prog, max_help_position=26, width=max(40, columns - 1))

    def _format_action_invocation(self, action: argparse.Action) -> str:
        """Name the value of a flag once: ``-o, --out DIR``."""
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        default = self._get_default_metavar_for_optional(action)
        value = self._format_args(action, default)
        if action.nargs in ('+', '*'):
            # argparse names it twice.
            value = f'{action.metavar or default} ...'
        return f'{", ".join(action.option_strings)} {value}'

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        """Wrap paragraphs; lists and indented lines stay as they are."""
        parts = [
            part
            if any(line.startswith((' ', '-')) for line in part.splitlines())
            else textwrap.fill(part, width)
            for part in text.strip().split('\n\n')
        ]
        return textwrap.indent('\n\n'.join(parts), indent)


def short_usage(parser: argparse.ArgumentParser) -> str:
    """Return a line with the command and what it needs; the flags are listed below.

    Args:
        parser (argparse.ArgumentParser): Parser with all arguments.
    """
    words = [parser.prog]
    for action in parser._actions:
        name = action.metavar or action.dest.upper()
        if not action.option_strings:
            words.append(f'[{name}]' if action.nargs in ('?', '*') else str(name))
        elif action.required:
            words.append(f'{action.option_strings[0]} {name}')
    return ' '.join([*words, '[options]'])
