"""Run the command ``mmfer``: ``python -m mmfer_command``."""

from .main import main

if __name__ == '__main__':
    main()
