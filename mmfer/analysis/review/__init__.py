"""The page on which a person reviews suspicious labels in a browser.

| module | content |
|---|---|
| ``page`` | write the page |
| ``samples`` | which samples the page shows, and which of them belong together |
| ``words`` | what a score means, in words |
| ``thumbnails`` | pictures in the page |
| ``files`` | the files that the page writes |
| ``notes`` | what a page says about its scores |
| ``template`` | put the files of ``web/`` together |
"""

from .notes import Notes, read_notes
from .page import write_page

__all__ = ['Notes', 'read_notes', 'write_page']
