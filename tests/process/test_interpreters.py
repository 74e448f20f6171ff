"""Isolated sub-interpreters, which allow no daemon threads."""

from __future__ import annotations

import sys
from typing import Type

import pytest

from snowplow_tracker.emitters import Emitter
from support.collector_with_faults import CollectorWithFaults
from support.processes import run_program

PROGRAM = """
    import sys, textwrap
    try:
        import _interpreters as interpreters  # 3.13
    except ImportError:
        import _xxsubinterpreters as interpreters

    NAME, ENDPOINT, OPTIONS = sys.argv[1:4]
    inside = textwrap.dedent(f'''
        import sys
        sys.path[:] = {sys.path!r}
        import snowplow_tracker as s
        emitter = s.{NAME}({ENDPOINT!r}, protocol="http", **{OPTIONS})
        tracker = s.Tracker("inside", emitter)
        for _ in range(25):
            tracker.track(s.PageView("https://example.com/"))
    ''')
    # 3.12 crashes when it destroys an interpreter that imported http.client, without this package too.
    for _ in range(2 if sys.version_info >= (3, 13) else 1):
        interpreter = interpreters.create()
        failed = interpreters.run_string(interpreter, inside)
        assert not failed, failed
        interpreters.destroy(interpreter)
"""


@pytest.mark.skipif(
    sys.version_info < (3, 12), reason="isolated sub-interpreters came with Python 3.12"
)
@pytest.mark.parametrize("options", ["{}", "{'flush_interval': 0.5}", "{'batch_size': 1}"])
def test_both_emitters_deliver(
    emitter_class: Type[Emitter], collector: CollectorWithFaults, options: str
) -> None:
    """All events of each interpreter arrive, at worst sent by the calling thread and at its end."""
    done = run_program(PROGRAM, emitter_class.__name__, collector.endpoint, options)
    if sys.version_info >= (3, 13):  # see above
        assert done.status == 0, done
    assert len(collector.arrived) == (50 if sys.version_info >= (3, 13) else 25), done
    assert "Traceback" not in done.errors, done
    assert not collector.repeated
