"""Review page, on which a person judges suspicious labels in a browser.

| module | content |
|---|---|
| ``page`` | write the page |
| ``samples`` | which samples the page shows, and which of them belong together |
| ``words`` | what a score means, in words |
| ``thumbnails`` | pictures in the page |
| ``files`` | the files that the page writes |
| ``settings`` | what ``mmfer review`` needs to write the page of a folder |
| ``template`` | put the files of ``web/`` together |
"""

from .page import write_page
from .settings import ReviewSettings, read_settings, write_settings

__all__ = ['ReviewSettings', 'read_settings', 'write_page', 'write_settings']
