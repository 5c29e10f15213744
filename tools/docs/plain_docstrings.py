"""Extension of griffe: docstrings may use the roles of reStructuredText.

``:class:`GaussianHead``` is shown as code, and the double colon before an
example as a single one, which Markdown understands.
"""

import re

from griffe import Extension

ROLE = re.compile(r':(?:class|func|meth|mod|attr|obj|data|exc):`~?([^`]*)`')
LITERAL = re.compile(r'::(?=\n\n)')


class PlainDocstrings(Extension):
    """Rewrite docstrings for Markdown before they are parsed."""

    def on_instance(self, *, node=None, obj=None, **kwargs) -> None:
        """Rewrite the docstring of one object."""
        if obj.docstring is not None:
            text = ROLE.sub(r'`\1`', obj.docstring.value)
            obj.docstring.value = LITERAL.sub(':', text)
