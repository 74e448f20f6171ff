"""The pytest plugin, in pytest runs of their own."""

import importlib.util
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

PLUGIN = Path(importlib.util.find_spec("pytest_snowplow_tracker").origin)
PACKAGE = Path(importlib.util.find_spec("snowplow_tracker").origin).parent.parent


@pytest.fixture
def run(tmp_path):
    """Run pytest on a test module; returns its output, and checks how many passed and failed.

    Other plugins are loaded on request only: they take longer than the tests.
    """

    def run(source, *arguments, passed=0, failed=0, ini="", autoload=False):
        (tmp_path / "test_it.py").write_text(textwrap.dedent(source))
        (tmp_path / "pytest.ini").write_text(f"[pytest]\n{textwrap.dedent(ini)}")
        result = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-p", "pytest_snowplow_tracker"),
                *("-p", "no:cacheprovider", "-W", "error", *arguments),
            ],
            check=False,
            capture_output=True,
            text=True,
            timeout=150,
            cwd=tmp_path,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(PLUGIN.parent), str(PACKAGE)]),
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "" if autoload else "1",
                "COLUMNS": "120",
            },
        )
        summary = result.stdout.splitlines()[-1]
        assert (f"{passed} passed" in summary) is (passed > 0), result.stdout + result.stderr
        assert (f"{failed} failed" in summary) is (failed > 0), result.stdout + result.stderr
        assert "error" not in summary, result.stdout
        return result.stdout

    return run


@pytest.mark.long
def test_the_start_imports_nothing(run):
    """Where no fixture is used, the package is not imported, nor what it works with."""
    run(
        """
        import sys
        def test_it():
            assert "pytest_snowplow_tracker" in sys.modules
            loaded = [each for each in sys.modules if each.split(".")[0] == "snowplow_tracker"]
            assert loaded == []
        """,
        passed=1,
    )


@pytest.mark.long
def test_fixtures_record(run):
    """The emitter and the tracker of a test belong together, and begin with nothing."""
    run(
        """
        import pytest
        from snowplow_tracker import PageView
        @pytest.mark.parametrize("number", [1, 2])
        def test_it(number, snowplow_tracker, snowplow_emitter):
            event_id = snowplow_tracker.track(PageView(f"https://shop.example/{number}"))
            assert snowplow_emitter.events.assert_one(type="page view").event_id == event_id
            assert snowplow_emitter.events.assert_one(aid="test")["url"].endswith(str(number))
        """,
        passed=2,
    )


@pytest.mark.long
def test_the_collector_fixture_collects(run):
    """A collector runs for the test, on a port of its own."""
    run(
        """
        from snowplow_tracker import PageView, Snowplow
        def test_it(snowplow_collector):
            tracker = Snowplow.create_tracker("ns", snowplow_collector.endpoint)
            tracker.track(PageView("https://shop.example"))
            tracker.flush()
            snowplow_collector.wait_for(1).assert_one(url="https://shop.example")
        """,
        passed=1,
    )


@pytest.mark.long
def test_the_registry_is_reset_between_tests(run):
    """A tracker of a test is gone in the next one; those from outside of tests are there again."""
    run(
        """
        import unittest
        import pytest
        from snowplow_tracker import Snowplow, Tracker
        from snowplow_tracker.testing import RecordingEmitter

        outside = Snowplow.add_tracker(Tracker("outside", RecordingEmitter()))

        @pytest.fixture(scope="session")
        def of_the_session():
            return Snowplow.add_tracker(Tracker("session", RecordingEmitter()))

        @pytest.mark.parametrize("number", [1, 2])
        def test_a_name_is_free_again(number):
            Snowplow.create_tracker("shop", "127.0.0.1:1")
            assert Snowplow.get_tracker("outside") is outside
            Snowplow.remove_tracker_by_namespace("outside")

        @pytest.mark.parametrize("number", [1, 2])
        def test_those_of_the_session_stay(number, of_the_session):
            assert Snowplow.get_tracker("session") is of_the_session
            assert Snowplow.get_tracker("shop") is None
            Snowplow.reset()

        class TestOfUnittest(unittest.TestCase):
            def test_it(self):
                assert Snowplow.get_tracker("shop") is None
                assert Snowplow.get_tracker("outside") is outside
        """,
        passed=5,
    )


@pytest.mark.long
def test_failures_are_short_and_show_the_table(run):
    """A failed assertion points at the line of the test, and shows events and what differs."""
    output = run(
        """
        from snowplow_tracker import StructuredEvent
        def test_it(snowplow_tracker, snowplow_emitter):
            snowplow_tracker.track(StructuredEvent("shop", "remove"))
            snowplow_emitter.events.assert_one(se_ac="add")
        """,
        failed=1,
    )
    assert "se_ac is 'remove', not 'add'" in output
    assert "> 0  structured" in output
    assert ">       snowplow_emitter.events.assert_one(se_ac=" in output
    assert "event_list.py" not in output.replace("testing.event_list.EventsDifferError", "")


@pytest.mark.long
def test_events_can_be_validated_in_every_test(run):
    """With the option, a test that tracked what the pipeline would refuse fails at its end."""
    source = """
        from snowplow_tracker import Event
        def test_it(snowplow_tracker, snowplow_emitter):
            snowplow_tracker.track(Event({"e": "se", "se_va": "much"}))
        """
    run(source, passed=1)
    result = None
    with pytest.raises(AssertionError) as caught:
        run(source, passed=1, ini="snowplow_validate = true\n")
    result = str(caught.value)
    assert "se_va is 'much', but must be a decimal number" in result


@pytest.mark.long
def test_schemas_of_the_configuration_are_used(run, tmp_path):
    """The fixtures hold events against the schemas in the configuration file's folders."""
    pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    folder = tmp_path / "schemas" / "com.acme" / "order" / "jsonschema"
    folder.mkdir(parents=True)
    (folder / "1-0-0").write_text(
        '{"$schema": "http://iglucentral.com/schemas/com.snowplowanalytics.self-desc/schema'
        '/jsonschema/1-0-0#", "self": {"vendor": "com.acme", "name": "order", "format":'
        ' "jsonschema", "version": "1-0-0"}, "type": "object",'
        ' "properties": {"total": {"type": "number"}}}'
    )
    run(
        """
        from snowplow_tracker import Emitter, SelfDescribing, SelfDescribingJson, Tracker
        def test_it(snowplow_tracker, snowplow_emitter, snowplow_collector):
            data = SelfDescribingJson("iglu:com.acme/order/jsonschema/1-0-0", {"total": "2"})
            snowplow_tracker.track(SelfDescribing(data))
            [problem] = snowplow_emitter.events[0].problems
            assert "$.total" in problem
            tracker = Tracker("ns", Emitter(snowplow_collector.endpoint, batch_size=1))
            tracker.track(SelfDescribing(data))
            assert "$.total" in snowplow_collector.bad[0].problems[0]
        """,
        passed=1,
        ini="snowplow_schemas =\n    schemas\n",
    )


@pytest.mark.long
def test_it_works_with_xdist(run):
    """Tests in several processes have collectors and registries of their own."""
    pytest.importorskip("xdist", reason="pytest-xdist is not installed")
    run(
        """
        import pytest
        from snowplow_tracker import PageView, Snowplow
        @pytest.mark.parametrize("number", range(8))
        def test_it(number, snowplow_collector):
            tracker = Snowplow.create_tracker("ns", snowplow_collector.endpoint)
            tracker.track(PageView("https://shop.example"))
            tracker.flush()
            assert len(snowplow_collector.wait_for(1)) == 1
        """,
        *("-p", "xdist.plugin", "-n", "2"),
        passed=8,
    )


FROZEN = """
    import time
    import pytest
    {imports}
    from snowplow_tracker import PageView, Snowplow
    from snowplow_tracker.testing import EventsMissingError

    {freeze}
    def test_it(snowplow_tracker, snowplow_emitter, snowplow_collector):
        snowplow_tracker.track(PageView("https://shop.example"))
        snowplow_emitter.events.assert_one(dtm="1700000000000")
        assert snowplow_emitter.events[0].problems == []
        tracker = Snowplow.create_tracker("ns", snowplow_collector.endpoint)
        tracker.track(PageView("https://shop.example"))
        tracker.flush()
        snowplow_collector.wait_for(1, timeout=20).assert_one(dtm="1700000000000")
        # Waiting ends although the clock stands still; so do faults.
        with pytest.raises(EventsMissingError):
            snowplow_collector.wait_for(2, timeout=0.2)
        fault = snowplow_collector.faults.status(503, seconds=0.2)
        while fault.active:
            pass
"""


@pytest.mark.long
@pytest.mark.parametrize(
    ("module", "imports", "freeze"),
    [
        (
            "freezegun",
            "from freezegun import freeze_time",
            "@freeze_time('2023-11-14T22:13:20')",
        ),
        (
            "time_machine",
            "import time_machine",
            "@time_machine.travel(1700000000, tick=False)",
        ),
    ],
)
def test_it_works_where_time_stands_still(run, module, imports, freeze):
    """Events have the frozen time, and what waits ends all the same."""
    pytest.importorskip(module, reason=f"{module} is not installed")
    run(FROZEN.format(imports=imports, freeze=freeze), passed=1)


@pytest.mark.long
@pytest.mark.parametrize(
    ("module", "plugin", "source"),
    [
        (
            "responses",
            "pytest_snowplow_tracker",
            """
            import responses
            @responses.activate
            def test_recording(snowplow_tracker, snowplow_emitter):
                snowplow_tracker.track(PageView("https://shop.example"))
                snowplow_emitter.events.assert_one(type="pv")
                assert len(responses.calls) == 0
            @responses.activate
            def test_collecting(snowplow_collector):
                responses.add_passthru(snowplow_collector.endpoint)
                responses.add("GET", "https://api.example/", json={})
                tracker = Snowplow.create_tracker("ns", snowplow_collector.endpoint)
                tracker.track(PageView("https://shop.example"))
                tracker.flush()
                snowplow_collector.wait_for(1)
            """,
        ),
        (
            "requests_mock",
            "requests_mock.contrib._pytest_plugin",
            """
            def test_recording(snowplow_tracker, snowplow_emitter, requests_mock):
                snowplow_tracker.track(PageView("https://shop.example"))
                snowplow_emitter.events.assert_one(type="pv")
                assert requests_mock.call_count == 0
            def test_collecting(snowplow_collector, requests_mock):
                requests_mock.register_uri("POST", snowplow_collector.endpoint, real_http=True)
                requests_mock.post(f"{snowplow_collector.endpoint}/com.snowplowanalytics.snowplow/tp2", real_http=True)
                tracker = Snowplow.create_tracker("ns", snowplow_collector.endpoint)
                tracker.track(PageView("https://shop.example"))
                tracker.flush()
                snowplow_collector.wait_for(1)
            """,
        ),
    ],
)
def test_it_works_with_mocks_of_requests(run, module, plugin, source):
    """Recording makes no request; the collector is reached where the mock lets through."""
    pytest.importorskip(module, reason=f"{module} is not installed")
    head = "from snowplow_tracker import PageView, Snowplow\n"
    run(head + textwrap.dedent(source), "-p", plugin, passed=2)


@pytest.mark.long
def test_an_installed_plugin_may_be_named_too(run):
    """``-p`` with the name of the module is no second registration, whatever other plugins there are."""
    run("def test_it(snowplow_emitter): pass", autoload=True, passed=1)
