"""The endpoint: which are taken, and what is shown of them."""

import pytest

from snowplow_tracker import Emitter


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
