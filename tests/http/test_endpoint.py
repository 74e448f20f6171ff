"""The endpoint: which are taken, and what is shown of them."""

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
