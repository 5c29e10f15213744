"""Draw the figure of the review page for the documentation.

    mmfer review work_dirs/cleaned
    python tools/docs/draw_review_page.py work_dirs/cleaned/review.html

The page is that of the quick start, whose faces are drawn: pictures of people must not
get into the documentation. It needs Chromium, and ``pip install playwright``.
"""

import argparse
import shutil
from pathlib import Path

OUT = 'docs/figures/quick_start_review.png'


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('page', help='review.html of drawn faces')
    parser.add_argument('--out', default=OUT, help=f'figure to write (default: {OUT})')
    args = parser.parse_args()
    browser_path = shutil.which('chromium') or shutil.which('google-chrome')
    if browser_path is None:
        raise SystemExit('Chromium is not installed: apt install chromium.')
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browser_path, args=['--no-sandbox']
        )
        page = browser.new_page(viewport=dict(width=1280, height=800))
        page.goto(Path(args.page).resolve().as_uri())
        page.wait_for_selector('.card')
        # One decision of each kind.
        for key in ('d', 'k', 'r'):
            page.keyboard.press(key)
        page.wait_for_timeout(500)
        page.screenshot(path=args.out)
        browser.close()
    print(f'{args.out} is written.')


if __name__ == '__main__':
    main()
