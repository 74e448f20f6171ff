"""The endpoint: which are taken, and what is shown of them."""

from typing import Any, Dict

import pytest

from snowplow_tracker import AsyncEmitter, Emitter


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://user:secret@localhost:9090",
        "user:secret@localhost:9090",
        "https://user:secret@host:1/own",
    ],
)
def test_user_password_and_port_together_are_no_ipv6_address(endpoint: str) -> None:
    """An endpoint may have a user, a password and a port, as in 1.1.0."""
    assert Emitter(endpoint, enabled=False).endpoint.partition("://")[2].startswith("user:secret@")


@pytest.mark.parametrize(
    "endpoint", ["user:secret@host:port", "user:secret@host?q", "user:secret@1::2"]
)
def test_error_without_scheme_hides_the_password(endpoint: str) -> None:
    """An error about an endpoint without a scheme does not show the password."""
    with pytest.raises(ValueError, match="endpoint") as caught:
        Emitter(endpoint)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("endpoint", "problem"),
    [
        ("http:/localhost", "endpoint 'http:/localhost' needs '://' after its scheme"),
        ("HTTP:/localhost:9090/path", "needs '://'"),
        ("https//localhost", "endpoint 'https//localhost' needs '://' after its scheme"),
        ("http:localhost", "endpoint 'http:localhost' needs '://' after its scheme"),
        ("http:localhost:9090", "needs '://'"),
        ("http:127.0.0.1", "needs '://'"),
        ("https:", "needs '://'"),
        (
            "ftp://localhost",
            "endpoint must be http or https, got 'ftp://localhost'",
        ),
        ("local host", "endpoint 'local host' has a space"),
        ("http://localhost/a b", "endpoint 'http://localhost/a b' has a space"),
        (" http://localhost", "endpoint ' http://localhost' has a space"),
        ("localhost\n", r"endpoint 'localhost\\n' has a space or a line break"),
    ],
)
@pytest.mark.parametrize("emitter_class", [Emitter, AsyncEmitter])
def test_what_leads_nowhere_is_refused(emitter_class, endpoint: str, problem: str) -> None:
    """An endpoint that no event can reach is refused, and the message says what is wrong with it."""
    with pytest.raises(ValueError, match=problem):
        emitter_class(endpoint)


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http:8080", "https://http:8080"),
        ("https:8080/path/", "https://https:8080/path"),
        ("http/path", "https://http/path"),
        ("http.example.com", "https://http.example.com"),
        ("https-collector", "https://https-collector"),
    ],
)
def test_a_host_may_have_the_name_of_a_scheme(endpoint: str, url: str) -> None:
    """A host that is called http, in a network of containers for instance, is one, as in 1.1.0."""
    path = "/com.snowplowanalytics.snowplow/tp2"
    assert Emitter(endpoint, enabled=False).endpoint == url + path


# In two halves that occur in no message.
PASSWORDS = [f"pq1{each}xz9" for each in ("", *" /#?@:[\\&=\u2102\x7f\n")]


@pytest.mark.parametrize(
    "form",
    [
        "http:/user:{}@host",
        "https//user:{}@host",
        "http:user:{}@host",
        "ftp://user:{}@host",
        "user:{}@host://host",
        "http://http://user:{}@host",
        "http://user:{}@ho st",
        "user:{}@host:port",
        "http://user:{}@host:port/path",
        "http://user:{}@1::2",
        "http://user:{}@host/path?query=1#end",
        "http://user:{}@",
    ],
)
def test_no_error_shows_the_password(form: str) -> None:
    """Whatever is wrong with an endpoint, and whatever is in the password, the error shows nothing of it."""
    for password in PASSWORDS:
        with pytest.raises(ValueError, match="endpoint") as caught:
            Emitter(form.format(password))
        assert "pq1" not in str(caught.value)
        assert "xz9" not in str(caught.value)


TP2 = "/com.snowplowanalytics.snowplow/tp2"


@pytest.mark.parametrize(
    ("endpoint", "options", "added"),
    [
        (f"https://localhost{TP2}", {}, TP2),
        (f"localhost/behind/a/proxy{TP2}/", {}, TP2),
        ("https://localhost/i", {"method": "get"}, "/i"),
        (f"https://localhost{TP2}", {"method": "get"}, "/i"),
        ("https://localhost/com.acme/track", {"path": "com.acme/track"}, "/com.acme/track"),
    ],
)
def test_an_endpoint_with_the_path_of_the_collector_is_told(
    caplog, endpoint: str, options: Dict[str, Any], added: str
) -> None:
    """The URL is that of 1.1.0, since a proxy may make it right; one warning says what to pass."""
    for _ in range(2):
        emitter = Emitter(endpoint, enabled=False, **options)
    assert emitter.endpoint.endswith(endpoint.strip("/") + added)
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("snowplow_tracker.emitters", "WARNING")
    pass_this = endpoint.rstrip("/")
    for path in (TP2, "/i", "/com.acme/track"):
        pass_this = pass_this[: -len(path)] if pass_this.endswith(path) else pass_this
    assert record.getMessage().startswith(f"endpoint {endpoint!r} ends in ")
    assert f"pass {pass_this!r}" in record.getMessage()


@pytest.mark.parametrize("endpoint", ["localhost/i", "localhost/api", "localhost/tp2", "tp2", "i"])
def test_other_paths_of_an_endpoint_are_taken(caplog, endpoint: str) -> None:
    """A path that only looks a little like the collector's is somebody's own."""
    emitter = Emitter(endpoint, enabled=False)
    assert emitter.endpoint == f"https://{endpoint}{TP2}"
    assert not caplog.records


def test_the_warning_of_the_path_shows_no_password(caplog) -> None:
    """The warning about the path leaves the user's name and password out."""
    Emitter(f"https://user:pq1xz9@localhost{TP2}", enabled=False)
    assert "endpoint 'https://localhost/com" in caplog.text
    assert "pass 'https://localhost'" in caplog.text
    assert "pq1" not in caplog.text
    assert "user" not in caplog.text
