"""The command `generate`."""

import json
import shutil
import subprocess
import sys

import pytest

from snowplow_tracker.__main__ import main
from support.iglu import SCHEMAS, registry

__all__ = ["registry"]


def generate(*arguments):
    return main(["generate", *map(str, arguments)])


def test_a_module_is_written_and_checked(tmp_path, capsys):
    """The module is written, `--check` says that it is up to date, and exits with 1 after a change of a schema."""
    shutil.copytree(SCHEMAS, tmp_path / "schemas")
    out = tmp_path / "shop_events.py"
    arguments = ["--schemas", tmp_path / "schemas", "--out", out]
    assert generate(*arguments, "--check") == 1
    assert "does not exist" in capsys.readouterr().err
    assert generate(*arguments) == 0
    assert "20 classes" in capsys.readouterr().out
    written = out.stat().st_mtime_ns
    assert generate(*arguments, "--check") == generate(*arguments) == 0
    assert out.stat().st_mtime_ns == written
    changed = tmp_path / "schemas/org.beta/product/jsonschema/1-0-0"
    changed.write_text(changed.read_text().replace("integer", "string"))
    capsys.readouterr()
    assert generate(*arguments, "--check") == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert out.stat().st_mtime_ns == written


def test_the_module_works_in_a_program(tmp_path):
    """What a team commits runs by itself."""
    assert (
        generate(
            "--schemas", SCHEMAS, "--out", tmp_path / "shop_events.py", "--entities", "product"
        )
        == 0
    )
    program = (
        "from shop_events import *\n"
        "from snowplow_tracker import Tracker\n"
        "from snowplow_tracker.testing import RecordingEmitter\n"
        "emitter = RecordingEmitter()\n"
        "Tracker('t', emitter).track(Payment(kind='card', last_digits='1234', context=[BetaProduct(id=1)]))\n"
        "print(emitter.events[0].data)"
    )
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={"PYTHONPATH": ":".join([str(tmp_path), *filter(None, sys.path)])},
    )
    assert result.stdout == "{'kind': 'card', 'lastDigits': '1234'}\n", result.stderr


def test_some_schemas_are_chosen(tmp_path, capsys):
    """`--schema` takes addresses and patterns, and names what it does not find."""
    out = tmp_path / "a.py"
    for wanted, classes in (
        ("org.beta/*", 1),
        ("iglu:com.acme.shop/order_placed/*", 3),
        ("*/product", 2),
    ):
        assert generate("--schemas", SCHEMAS, "--schema", wanted, "--out", out) == 0
        assert out.read_text(encoding="utf-8").count("SCHEMA: ") == classes
    capsys.readouterr()
    for wanted, status in (
        ("org.gamma/*", 2),
        ("product", 2),
        ("iglu:org.beta/product/jsonschema/2-0-0", 1),
    ):
        assert generate("--schemas", SCHEMAS, "--schema", wanted, "--out", out) == status
        assert wanted in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"{not json", b"\xff", b"[]", b"", b"null", b"[" * 100_000])
def test_a_broken_file_costs_its_own_class_only(tmp_path, capsys, content):
    """A file that is no schema is named with the reason, and each other class is written under its own name."""
    folder = tmp_path / "com.acme/order/jsonschema"
    folder.mkdir(parents=True)
    (folder / "1-0-0").write_text('{"type": "object", "properties": {"id": {"type": "string"}}}')
    (folder / "2-0-0").write_bytes(content)
    out = tmp_path / "a.py"
    assert generate("--schemas", tmp_path, "--out", out) == 1
    error = capsys.readouterr().err
    assert "com.acme/order/jsonschema/2-0-0: no class, since it cannot be read from" in error
    assert error.count("\n") == 1
    assert "class OrderV1_0_0(" in out.read_text()


@pytest.mark.parametrize("option", ["--events", "--entities"])
def test_a_pattern_that_matches_nothing_is_named(tmp_path, capsys, option):
    """A typo in a pattern is status 2 and writes nothing, instead of a module with other classes."""
    out = tmp_path / "a.py"
    arguments = ["--schemas", SCHEMAS, "--out", out, option, "pay*", option, "nonexist"]
    assert generate(*arguments) == 2
    assert f"no schema is like 'nonexist', which names {option[2:]}" in capsys.readouterr().err
    assert not out.exists()


def test_a_schema_comes_from_a_registry(registry, tmp_path, monkeypatch):
    """A registry on the network gives the schemas that are named."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    registry.api_key = "k"
    monkeypatch.setenv("SNOWPLOW_SCHEMAS", registry.url)
    arguments = ["--schema", "iglu:org.beta/product/jsonschema/1-0-0", "--out", tmp_path / "a.py"]
    assert generate(*arguments) == 1
    assert generate(*arguments, "--api-key", "k") == 0
    assert "class Product(" in (tmp_path / "a.py").read_text()


def test_event_specifications_come_from_a_file(tmp_path, capsys):
    """The file of specifications is read, and what is wrong in it is one line."""
    file = tmp_path / "specifications.json"
    file.write_text(json.dumps({"Payment": {"id": "a", "tracking_plan": {"name": "Shop"}}}))
    arguments = ["--schemas", SCHEMAS, "--out", tmp_path / "a.py", "--event-specifications", file]
    assert generate(*arguments) == 0
    assert 'data_product_name="Shop",' in (tmp_path / "a.py").read_text(encoding="utf-8")
    for wrong in ("{", '{"Nobody": {"id": "a"}}', '{"Payment": {}}'):
        file.write_text(wrong)
        capsys.readouterr()
        assert generate(*arguments) == 2
        assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["--schemas", "/nowhere"], ["--schemas", "."]])
def test_no_schemas_is_a_usage_error(arguments, tmp_path, monkeypatch, capsys):
    """Without schemas one line says what to give."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SNOWPLOW_SCHEMAS", raising=False)
    assert generate(*arguments, "--out", "-") == 2
    assert capsys.readouterr().err.count("\n") == 1
