"""Deliver the events that other programs add to a store, until it is stopped."""

from __future__ import annotations

import argparse
import logging
import os
import queue
import signal
import sys
from contextlib import ExitStack, contextmanager, suppress
from typing import Callable, Iterator, List, Optional, Tuple

from snowplow_tracker._cli.common import (
    SWITCHED_OFF,
    add_endpoint_arguments,
    add_number_argument,
    check_endpoint,
    naming_default,
    port,
    seconds,
    whole_number,
)
from snowplow_tracker._cli.progress import Progress, Reporter
from snowplow_tracker._delivery.options import is_disabled_by_environment
from snowplow_tracker._delivery.stats import DeliveryStats
from snowplow_tracker._http.endpoint import default_protocol
from snowplow_tracker._messages import events_text
from snowplow_tracker._stores.redaction import redact
from snowplow_tracker._stores.urls import FORMS, missing_file, missing_stream, open_store
from snowplow_tracker.emitters import AsyncEmitter
from snowplow_tracker.event_store import DurableEventStore
from snowplow_tracker.metrics import prometheus_text
from snowplow_tracker.typing import PayloadDict, PayloadDictList

logger = logging.getLogger("snowplow_tracker.worker")

DONE, CANNOT_START, USAGE, LEFT_BEHIND, DROPPED = 0, 1, 2, 3, 4

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_TICK = 0.5
"""Seconds between checks for a stop, and updates of the progress, while the worker is busy."""
_IDLE_WAIT = 0.5
"""Maximum seconds for which an idle worker waits for new events before it checks for a stop."""

EPILOG = f"""\
URLs of stores:
  {FORMS}
  Options of the store may follow: redis://localhost/0?stream=orders&group=eu&claim_after=30

When it is stopped (SIGTERM, SIGINT), it finishes the requests in progress. Events of requests that do
not finish in time are sent again by another worker or after the next start, with the same event ids.
A second signal ends it immediately. An idle worker is woken by Redis, and checks an SQLite file four
times per second.

Exit status:
  {DONE}    it was stopped, or the store is empty (--exit-when-empty); no event was lost
  {CANNOT_START}    it could not start: the store cannot be opened
  {USAGE}    the arguments are invalid, or SNOWPLOW_DISABLED=1 switches tracking off,
       or the store does not exist (--exit-when-empty); without that option it logs a warning and waits
  {LEFT_BEHIND}    requests did not finish in time, or it was stopped before the store
       was empty (--exit-when-empty); the store keeps the events
  {DROPPED}    events are lost: the collector refuses them for good, or the store cannot read them; see the log
  130  it was interrupted twice

Environment:
  SNOWPLOW_STORE and SNOWPLOW_ENDPOINT are the defaults for --store and --endpoint. Unlike arguments,
  they do not show a password to all users of the machine.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    store = os.environ.get("SNOWPLOW_STORE")
    parser.add_argument(
        "--store",
        metavar="URL",
        default=store,
        required=store is None,
        help="the queue that the programs fill: sqlite:///…, redis://… and others, see below",
    )
    add_endpoint_arguments(parser, os.environ.get("SNOWPLOW_ENDPOINT"))
    add_number_argument(
        parser, "--batch", whole_number, 500, "maximum number of events in a request"
    )
    add_number_argument(
        parser, "--threads", whole_number, 1, "maximum number of simultaneous requests"
    )
    add_number_argument(
        parser, "--request-timeout", seconds, 5.0, "timeout for connecting and for each answer"
    )
    add_number_argument(
        parser, "--max-retry-delay", seconds, 60.0, "maximum wait after a failed request"
    )
    parser.add_argument("--path", help="the path of POST requests, such as /com.acme/track")
    parser.add_argument(
        "--header",
        metavar="'NAME: VALUE'",
        action="append",
        type=_header,
        default=[],
        help="an additional header for every request; may be given several times",
    )
    parser.add_argument(
        "--exit-when-empty",
        action="store_true",
        help="end when every event is delivered, including those that other workers have leased",
    )
    add_number_argument(
        parser, "--timeout", seconds, 10.0, "maximum time for requests in progress after a stop"
    )
    add_number_argument(
        parser,
        "--report-every",
        seconds,
        10.0,
        "interval of progress in the log if there is no terminal",
    )
    parser.add_argument(
        "--metrics-port",
        metavar="PORT",
        type=port,
        help="serve metrics for Prometheus at http://HOST:PORT/metrics",
    )
    parser.add_argument(
        "--metrics-host",
        metavar="HOST",
        default="127.0.0.1",
        help="the address to listen on for --metrics-port (default: %(default)s, only this machine)",
    )


def run(args: argparse.Namespace) -> int:
    """Run the worker until it is stopped; return the exit status."""
    _occupy_standard_streams()
    logger.setLevel(logging.INFO)
    with Reporter(sys.stderr, args.report_every) as reporter:
        return _run(args, reporter)


def _run(args: argparse.Namespace, reporter: Reporter) -> int:
    from snowplow_tracker._cli.metrics_server import serving

    if is_disabled_by_environment():
        # Before the store is opened, which would create a file.
        logger.error("%s: unset it for the worker, which cannot send otherwise.", SWITCHED_OFF)
        return USAGE
    with ExitStack() as ending:
        try:
            file = missing_file(args.store)
            if file and args.exit_when_empty:
                return _say_missing(f"file {file}", USAGE)
            check_endpoint(args.endpoint)
            with naming_default(args.store, "SNOWPLOW_STORE"):
                store = open_store(args.store)
            worker = _Worker(store, args, reporter)
            stream = "" if file else missing_stream(store)
            if args.metrics_port is not None:
                host, port = args.metrics_host, args.metrics_port
                port = ending.enter_context(serving(host, port, worker.metrics))
                logger.info("Metrics are at http://%s:%d/metrics.", host, port)
        except ValueError as error:
            logger.error("%s", error)  # noqa: TRY400 - the user needs no traceback
            return USAGE
        except Exception as error:  # noqa: BLE001 - a store may raise anything when it is opened
            logger.error("%s", error)  # noqa: TRY400 - as above
            return CANNOT_START
        if file or stream:
            missing = f"file {file}" if file else f"stream {stream!r} in Redis"
            if args.exit_when_empty:
                worker.emitter.close(timeout=0.0)
                return _say_missing(missing, USAGE)
            # It may have been started before the program, and delivers once there is something.
            _say_missing(missing, DONE)
        ending.enter_context(_stopped_by_signals(worker.stop))
        logger.info("Events are sent from %s to %s.", redact(args.store), worker.emitter.endpoint)
        return worker.run()


def _say_missing(what: str, status: int) -> int:
    logger.log(
        logging.ERROR if status else logging.WARNING,
        "There is no %s: no program has added events yet, or --store is wrong%s.",
        what,
        "" if status else "; the worker creates it and waits for events",
    )
    return status


class _Gate:
    """A store that looks empty after the gate is closed, so that nothing new is sent.

    Events that were leased before can still be settled.
    """

    durable = True
    thread_safe = True

    def __init__(self, store: DurableEventStore) -> None:
        self.store = store
        self.is_closed = False
        self.lost_listener: Optional[Callable[[int, str], None]] = None

    def add_event(self, payload: PayloadDict) -> bool:
        return self.store.add_event(payload)

    def get_events_batch(self, *, max_events: Optional[int] = None) -> PayloadDictList:
        return [] if self.is_closed else self.store.get_events_batch(max_events=max_events)

    def cleanup(self, batch: PayloadDictList, need_retry: bool) -> None:
        self.store.cleanup(batch, need_retry)

    def renew(self, events: PayloadDictList) -> None:
        self.store.renew(events)

    def size(self) -> int:
        return 0 if self.is_closed else self.store.size()

    def close(self) -> None:
        self.store.close()


class _Worker:
    """Delivers the events of a store with an emitter."""

    def __init__(
        self, store: DurableEventStore, args: argparse.Namespace, reporter: Reporter
    ) -> None:
        self._store = store
        self._reporter = reporter
        self._until_empty: bool = args.exit_when_empty
        self._timeout: float = args.timeout
        # Not an Event, whose lock the main thread may hold when the signal arrives.
        self._stop_signal: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._gate = _Gate(store)
        self.emitter = AsyncEmitter(
            args.endpoint,
            protocol=default_protocol(args.endpoint),
            method=args.method,
            batch_size=1,  # a worker does not wait for full batches
            thread_count=args.threads,
            request_timeout=args.request_timeout,
            max_retry_delay_seconds=args.max_retry_delay,
            event_store=self._gate,
            max_request_events=args.batch,
            flush_interval=_TICK,
            exit_timeout=0.0,  # close is called with its own timeout
            path=args.path,
            headers=dict(args.header),
        )
        # The emitter has set that of the gate, to count what the store loses.
        store.lost_listener = self._gate.lost_listener

    def metrics(self) -> str:
        """Return the metrics in the text format of Prometheus."""
        lines = [prometheus_text(self.emitter)]
        for name, meaning, is_up in (
            ("snowplow_store_up", "Whether the store can be used.", not self._store.failing),
            (
                "snowplow_collector_up",
                "Whether the last request was answered.",
                not self.emitter.retry_delay > 0,
            ),
        ):
            lines.append(f"# HELP {name} {meaning}\n# TYPE {name} gauge\n{name} {int(is_up)}\n")
        return "".join(lines)

    def stop(self) -> None:
        """Stop sending new requests. It is safe in a signal handler."""
        self._gate.is_closed = True
        self._stop_signal.put(None)

    def run(self) -> int:
        """Deliver until it is stopped or, with `--exit-when-empty`, until the store is empty."""
        while not self._gate.is_closed:
            stats = self._report()
            if self.emitter.retry_delay > 0:
                self._pause(_TICK)  # the emitter's own threads retry when it is time
            elif stats.queued > 0:
                self.emitter.flush(timeout=_TICK)
                if _settled(self.emitter.stats()) == _settled(stats):
                    self._pause(_TICK)  # another worker was faster, or the store cannot be reached
            elif not self._until_empty:
                self._store.wait_for_events(_IDLE_WAIT)
            elif self._store.remaining() == 0:
                return self._end(empty=True)
            else:
                self._pause(_IDLE_WAIT / 2)  # for events that other workers have leased
        return self._end(empty=False)

    def _pause(self, seconds: float) -> None:
        with suppress(queue.Empty):
            self._stop_signal.get(timeout=seconds)

    def _end(self, *, empty: bool) -> int:
        queued = 0 if empty else self._store.size()
        unknown = not empty and self._store.failing
        self._gate.is_closed = True
        in_flight = self.emitter.close(timeout=self._timeout)
        stats = self._report(queued=queued, final=True)
        dropped = sum(stats.dropped.values())
        logger.info(
            "Stopped: %s sent, %d dropped, %s left in the store%s.",
            events_text(stats.sent),
            dropped,
            "an unknown number" if unknown else queued + in_flight,
            f", {in_flight} of them in requests that did not end in time" if in_flight else "",
        )
        if dropped:
            return DROPPED
        if in_flight or (self._until_empty and not empty):
            return LEFT_BEHIND
        return DONE

    def _report(self, *, queued: Optional[int] = None, final: bool = False) -> DeliveryStats:
        note = ""
        if self._store.failing:
            note = "the store is not reachable"
        elif self.emitter.retry_delay > 0:
            note = "the collector is not reachable"
        stats = self.emitter.stats()
        progress = Progress.of(stats, stats.queued if queued is None else queued, note)
        self._reporter.show(progress, final=final)
        return stats


def _settled(stats: DeliveryStats) -> Tuple[object, ...]:
    """Return what changes when a request ends."""
    return stats.sent, stats.failed_attempts, stats.dropped


def _occupy_standard_streams() -> None:
    """Open closed standard streams, so that no file or connection gets their number and what is printed there."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it gets the lowest free number


@contextmanager
def _stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call a function at the first SIGTERM or SIGINT, and interrupt at the second."""

    def first(_number: int, _frame: object) -> None:
        for number in _STOP_SIGNALS:
            signal.signal(number, _interrupt)
        stop()

    old = {number: signal.signal(number, first) for number in _STOP_SIGNALS}
    try:
        yield
    except KeyboardInterrupt:
        old.clear()  # the process ends now
        raise
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def _interrupt(_number: int, _frame: object) -> None:
    for number in _STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _header(text: str) -> List[str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form 'NAME: VALUE'")
    return [name.strip(), value.strip()]
