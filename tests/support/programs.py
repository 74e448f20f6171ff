"""Programs beside Python that some tests run."""

import os
import shutil

import pytest


def need(program: str) -> str:
    """Give the path of a program.

    Without it a test is skipped, which the end of the run says in so many words; in CI it fails,
    since there everything has to be tested.
    """
    path = shutil.which(program)
    if path is not None:
        return path
    missing = f"{program} is not installed (Debian: apt-get install {program})"
    if os.environ.get("CI") or os.environ.get("SNOWPLOW_TRACKER_TEST_INSTALLED"):
        pytest.fail(missing)
    pytest.skip(missing)
