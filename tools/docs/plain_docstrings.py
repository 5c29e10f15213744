"""Extension of griffe: docstrings may use the roles of reStructuredText.

``:class:`GaussianHead``` is shown as code. The double colon before an example
becomes a single one, and a table of ``====`` becomes a block of plain text.
"""

import re

from griffe import Extension

ROLE = re.compile(r':(?:class|func|meth|mod|attr|obj|data|exc):`~?([^`]*)`')
LITERAL = re.compile(r'::(?=\n\n)')
TABLE = re.compile(r'^=+ +=[= ]*\n(?:.*\S.*\n)+?=+ +=[= ]*$(?!\n.*\S)', re.MULTILINE)


class PlainDocstrings(Extension):
    """Rewrite docstrings for Markdown before they are parsed."""

    def on_instance(self, *, node=None, obj=None, **kwargs) -> None:
        """Rewrite the docstring of one object."""
        if obj.docstring is not None:
            text = ROLE.sub(r'`\1`', obj.docstring.value)
            text = TABLE.sub(r'```text\n\g<0>\n```', text)
            obj.docstring.value = LITERAL.sub(':', text)
