"""Where schemas are found."""

import os
import shutil
import time

import pytest

from snowplow_tracker.iglu import HttpRegistry, Resolver, SchemaKey, SchemaNotFoundError
from support.iglu import SCHEMAS, schema

ORDER = "iglu:com.acme.shop/order_placed/jsonschema/2-0-0"
MISSING = "iglu:com.acme.shop/order_placed/jsonschema/3-0-0"


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "com.acme/a/jsonschema/1-0-0",
        "iglu:com.acme/a/jsonschema/0-0-0",
        "iglu:com.acme/a/jsonschema/1-0",
        "iglu:com.acme/a/jsonschema/1-00-0",
        "iglu:../a/jsonschema/1-0-0",
        "iglu:com.acme/../../etc/passwd/1-0-0",
        "iglu:com.acme/a/jsonschema/1-0-0\n",
        "iglu:com.acme/a/jsonschema/\u0661-0-0",
        None,
        5,
    ],
)
def test_an_address_is_refused_by_name(uri):
    """What is no address of a schema, or would lead out of a folder, is refused with an example of one."""
    with pytest.raises(ValueError, match="is not the URI of a schema, such as iglu:"):
        SchemaKey.parse(uri)


def test_an_address_is_read_and_written():
    """The parts of an address can be read, and versions sort as numbers."""
    key = SchemaKey.parse("iglu:com.acme/order/jsonschema/1-0-10")
    assert (key.vendor, key.name, key.format, key.version) == (
        "com.acme",
        "order",
        "jsonschema",
        (1, 0, 10),
    )
    assert str(key) == key.uri == "iglu:com.acme/order/jsonschema/1-0-10"
    assert key > SchemaKey.parse("iglu:com.acme/order/jsonschema/1-0-9")


def test_a_folder_may_have_schemas_above(tmp_path):
    """A folder in Iglu layout is read with and without a folder `schemas` in it."""
    shutil.copytree(SCHEMAS, tmp_path / "schemas")
    for folder in (SCHEMAS, str(tmp_path), tmp_path / "schemas"):
        resolver = Resolver(folder)
        assert resolver.resolve(ORDER) == schema(ORDER[5:])
        assert len(resolver.keys()) == 20
        assert not resolver.remote


@pytest.mark.parametrize("form", ["zip", "tar", "gztar"])
def test_an_archive_is_read(tmp_path, form):
    """Zip and tar archives are read, at whatever depth the folder lies in them."""
    shutil.copytree(SCHEMAS, tmp_path / "in" / "repository-main" / "schemas")
    archive = shutil.make_archive(str(tmp_path / "schemas"), form, tmp_path / "in")
    resolver = Resolver(archive)
    assert resolver.resolve(ORDER) == schema(ORDER[5:])
    assert resolver.keys() == Resolver(SCHEMAS).keys()


def test_a_folder_that_is_missing_is_named(tmp_path):
    """A folder or an archive that is not there, or is none, is named at once."""
    with pytest.raises(ValueError, match=r"no folder '.*nowhere'"):
        Resolver(tmp_path / "nowhere")
    (tmp_path / "a.zip").write_bytes(b"no archive")
    with pytest.raises(ValueError, match=r"'.*a\.zip' is not an archive"):
        Resolver(tmp_path / "a.zip")


def test_the_first_registry_wins(tmp_path):
    """Of several registries the first that has a schema answers."""
    path = tmp_path / ORDER[5:]
    path.parent.mkdir(parents=True)
    path.write_text('{"description": "mine"}')
    resolver = Resolver(tmp_path, SCHEMAS)
    assert resolver.resolve(ORDER) == {"description": "mine"}
    assert (
        resolver.resolve("iglu:org.beta/product/jsonschema/1-0-0")["self"]["vendor"] == "org.beta"
    )


def test_an_unknown_schema_says_who_was_asked(tmp_path, registry):
    """The message names each registry, what went wrong there, and the versions that there are."""
    registry.answer = (503, b"")
    resolver = Resolver(tmp_path, SCHEMAS, HttpRegistry(registry.url, cache=None))
    with pytest.raises(SchemaNotFoundError) as caught:
        resolver.resolve(MISSING)
    message = str(caught.value)
    assert (
        f"{MISSING} was not found in {tmp_path}, {SCHEMAS}, {registry.url} (answered 503)"
        in message
    )
    assert message.endswith("there is 1-0-0, 1-0-1, 2-0-0")
    with pytest.raises(SchemaNotFoundError, match="no registry is configured"):
        Resolver().resolve(MISSING)


def test_a_schema_that_cannot_be_read_is_not_called_missing(tmp_path):
    """A file with broken JSON is named with the error, and not offered as another version."""
    path = tmp_path / ORDER[5:]
    path.parent.mkdir(parents=True)
    path.write_text("{broken")
    with pytest.raises(SchemaNotFoundError) as caught:
        Resolver(tmp_path).resolve(ORDER)
    message = str(caught.value)
    assert message.startswith(f"{ORDER} cannot be read from {tmp_path} (it is not JSON: ")
    assert "not found" not in message
    assert "there is" not in message


def test_the_schema_of_an_unknown_vendor_may_be_public(tmp_path):
    """Where no registry has others of its vendor, the message says how to add a public one; else it does not."""
    with pytest.raises(SchemaNotFoundError, match="public, add its registry, such as https://iglu"):
        Resolver(SCHEMAS).resolve("iglu:com.example/a/jsonschema/1-0-0")
    with pytest.raises(SchemaNotFoundError) as caught:
        Resolver(SCHEMAS).resolve("iglu:org.beta/produkt/jsonschema/1-0-0")
    assert "public" not in str(caught.value)


def test_a_registry_is_asked_once(registry, tmp_path):
    """A schema is kept in memory and on disk, and a miss is remembered for a while."""
    resolver = Resolver(HttpRegistry(registry.url, cache=tmp_path))
    assert resolver.remote
    assert not resolver.knows(ORDER)
    for _ in range(3):
        assert resolver.resolve(ORDER) == schema(ORDER[5:])
        with pytest.raises(SchemaNotFoundError):
            resolver.resolve(MISSING)
    assert resolver.knows(ORDER)
    assert resolver.knows(MISSING)
    assert registry.asked == [f"/schemas/{ORDER[5:]}", f"/schemas/{MISSING[5:]}"]
    Resolver(HttpRegistry(f"{registry.url}/schemas/", cache=tmp_path)).resolve(ORDER)
    assert len(registry.asked) == 2


def test_the_cache_on_disk_is_mended_and_grows_old(registry, tmp_path):
    """A cached file that is broken, or older than a day, is fetched again."""
    Resolver(HttpRegistry(registry.url, cache=tmp_path)).resolve(ORDER)
    (cached,) = tmp_path.glob(f"*/{ORDER[5:]}")
    cached.write_text("{half")
    assert Resolver(HttpRegistry(registry.url, cache=tmp_path)).resolve(ORDER) == schema(ORDER[5:])
    yesterday = time.time() - 25 * 3600
    os.utime(cached, (yesterday, yesterday))
    Resolver(HttpRegistry(registry.url, cache=tmp_path)).resolve(ORDER)
    assert len(registry.asked) == 3


def test_a_key_opens_a_registry_and_is_never_shown(registry, tmp_path):
    """The key goes in the header of Iglu servers; what one key may read, another does not find in the cache."""
    registry.api_key = "5ecret"
    with_key = Resolver(HttpRegistry(registry.url, "5ecret", cache=tmp_path))
    assert with_key.resolve(ORDER)
    without = Resolver(HttpRegistry(registry.url, cache=tmp_path))
    with pytest.raises(SchemaNotFoundError, match="answered 403"):
        without.resolve(ORDER)
    assert "5ecret" not in repr(with_key.registries)
    secret = HttpRegistry("http://user:pa55@127.0.0.1:9", cache=None, timeout=1)
    with pytest.raises(SchemaNotFoundError) as caught:
        Resolver(secret).resolve(ORDER)
    assert "pa55" not in f"{caught.value}{secret!r}"


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b"[" * 100_000, b"<html>"])
def test_what_is_no_schema_is_said(registry, body):
    """An answer that is no JSON object is the registry's fault, not an exception of another kind."""
    registry.answer = (200, body)
    with pytest.raises(SchemaNotFoundError, match=r"it is not (a )?JSON"):
        Resolver(HttpRegistry(registry.url, cache=None)).resolve(ORDER)


def test_a_registry_cannot_fill_the_memory(registry):
    """An answer of more than some megabytes is not read to its end."""
    registry.answer = (200, b" " * 5_000_000)
    with pytest.raises(SchemaNotFoundError, match="more than 4,000,000 bytes"):
        Resolver(HttpRegistry(registry.url, cache=None)).resolve(ORDER)
