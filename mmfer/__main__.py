"""Run the command ``mmfer``: ``python -m mmfer``.

Python imports mmfer, and torch with it, before this file. ``mmfer --help`` and
``python -m mmfer_command --help`` answer at once.
"""

from mmfer_command.main import main

if __name__ == '__main__':
    main()
