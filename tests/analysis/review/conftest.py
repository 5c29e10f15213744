import shutil

import pytest


@pytest.fixture
def browser():
    """Chromium of the distribution (``apt install chromium``).

    Also needs ``pip install playwright``.
    """
    sync_api = pytest.importorskip('playwright.sync_api')
    path = shutil.which('chromium') or shutil.which('google-chrome')
    if path is None:
        pytest.skip('no Chromium')
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=['--no-sandbox']
        )
        yield browser
        browser.close()
