"""What a signal handler raises comes out of the HTTP client, although it looks like a fault of the network."""

import signal
import socket

import pytest

from snowplow_tracker import Emitter, PageView, Tracker
from support.inside import keep_alive, sockets


class TimeLimitError(TimeoutError):
    """What a decorator that limits time raises."""


@pytest.fixture
def handler():
    """A handler of a signal that raises."""

    def raise_it(*_):
        raise TimeLimitError

    before = signal.signal(signal.SIGALRM, raise_it)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_while_one_of_several_addresses_is_tried(handler, monkeypatch):
    """It ends the call, and no other address is tried in its place."""
    with socket.create_server(("127.0.0.1", 0)) as well, socket.create_server(
        ("127.0.0.1", 0), backlog=0
    ) as full:
        fillers = [socket.socket() for _ in range(8)]
        try:
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(full.getsockname())
            addresses = [
                (socket.AF_INET, socket.SOCK_STREAM, 0, "", server.getsockname())
                for server in (full, well)
            ]
            monkeypatch.setattr(sockets, "_addresses", lambda *_: addresses)
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(TimeLimitError):
                sockets.connect("127.0.0.1", 1, None)
        finally:
            for filler in fillers:
                filler.close()


def test_while_an_idle_connection_is_looked_at(handler):
    """It is not taken for a connection that the collector closed."""

    class Connection:
        def fileno(self):
            signal.raise_signal(signal.SIGALRM)
            return 0

    with pytest.raises(TimeLimitError):
        keep_alive._is_readable(Connection())


@pytest.mark.parametrize("error", [TimeLimitError, RuntimeError])
def test_a_handler_that_replaces_itself_before_it_raises(error):
    """Its exception comes out of `track()`, although it is no handler any more."""

    def raise_once(_number, _frame):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        raise error

    before = signal.signal(signal.SIGALRM, raise_once)
    try:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            emitter = Emitter(f"http://127.0.0.1:{silent.getsockname()[1]}", batch_size=1)
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(error):
                Tracker("n", emitter).track(PageView("https://example.com"))
            emitter.close(timeout=0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_connections_that_several_threads_close():
    """A thread that finds the last connection taken by another one raises nothing."""

    class Emptied(list):
        def __bool__(self):
            return True

    client = keep_alive.KeepAliveClient(lambda: lambda: None)
    client._idle = Emptied()
    client.close()
    client._idle = []
