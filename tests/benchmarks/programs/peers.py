"""Rows 1, 2, 4 and 5 for other libraries: the same events, said and delivered as each of them does it by default.

Options: `peer`, `kind`, `events`, and for delivery `protocol`, `port`, `control`. Without a port nothing is sent. Queues
are made large enough for all events where that can be set; what does not arrive is seen in the count.
"""

import json
import logging
import os
import socket
import sys
import time

HOST = "127.0.0.1"
REFERRER = "https://search.example/?q=green+shoes"
CAPACITY = 1_000_000


def small(number):
    url = f"https://shop.example/shoes/bench-{number:07d}"
    return {"url": url, "title": "Green shoes, size 42", "referrer": REFERRER}


def rich(number):
    """Give what the rich event, its two entities and its subject hold."""
    url = f"https://shop.example/shoes/bench-{number:07d}"
    return {
        "order": {"order": url, "total": 129.95, "currency": "EUR", "items": 3, "first": False},
        "customer": {"id": 4711, "segment": "returning", "newsletter": True, "country": "NL"},
        "basket": {"skus": ["shoe-42-green", "sock-42", "polish"], "coupon": None, "weight": 1.2},
        "platform": "srv",
        "lang": "nl-NL",
        "timezone": "Europe/Amsterdam",
        "ip": "192.0.2.17",
        "useragent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    }


def mixpanel(url, port):
    from mixpanel import BufferedConsumer, Mixpanel

    if port:
        consumer = BufferedConsumer(events_url=url + "/track")
    else:

        class consumer:  # noqa: N801 - takes the place of an instance
            @staticmethod
            def send(*arguments):
                kept.append(arguments)

    client = Mixpanel("key", consumer=consumer)
    return lambda data: client.track("user-4711", "viewed", data), getattr(consumer, "flush", None)


kept = []


def segment(url, port):
    from segment.analytics.client import Client

    client = Client("key", host=url, max_queue_size=CAPACITY, send=bool(port))
    return lambda data: client.track("user-4711", "viewed", data), client.flush


def rudder(url, port):
    from rudderstack.analytics.client import Client

    client = Client("key", host=url, max_queue_size=CAPACITY, send=bool(port), gzip=False)
    return lambda data: client.track("user-4711", "viewed", data), client.flush


def posthog(url, port):
    from posthog import Posthog

    client = Posthog("key", host=url, max_queue_size=CAPACITY, send=bool(port))
    return (
        lambda data: client.capture("viewed", distinct_id="user-4711", properties=data)
    ), client.flush


def amplitude(url, port):
    from amplitude import Amplitude, BaseEvent

    client = Amplitude("key")
    client.configuration.server_url = url + "/2/httpapi"
    if not port:
        client.configuration.flush_queue_size = CAPACITY

    def flush():
        for future in client.flush() or ():
            if future is not None:
                future.result()

    return (
        lambda data: client.track(BaseEvent("viewed", user_id="user-4711", event_properties=data))
    ), flush


def opentelemetry(url, port):
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    if port:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        exporter = OTLPSpanExporter(endpoint=url + "/v1/traces")
    else:

        class Swallow(SpanExporter):
            def export(self, spans):
                return SpanExportResult.SUCCESS

        exporter = Swallow()
    # A span holds flat attributes only.
    provider = TracerProvider()
    if port:
        processor = BatchSpanProcessor(exporter, max_queue_size=CAPACITY)
    else:
        processor = BatchSpanProcessor(
            exporter, CAPACITY, schedule_delay_millis=3_600_000, max_export_batch_size=CAPACITY
        )
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("benchmark")

    def track(data):
        flat = {}
        for name, value in data.items():
            if isinstance(value, dict):
                flat.update((f"{name}.{key}", inner) for key, inner in value.items() if inner)
            else:
                flat[name] = value
        tracer.start_span("viewed", attributes=flat).end()

    return track, processor.force_flush


def sentry(url, port):
    import sentry_sdk
    from sentry_sdk.transport import Transport

    class Swallow(Transport):
        def capture_envelope(self, envelope):
            kept.append(envelope)

    options = {} if port else {"transport": Swallow}
    sentry_sdk.init(url.replace("://", "://key@") + "/1", transport_queue_size=CAPACITY, **options)

    def track(data):
        sentry_sdk.capture_event({"message": "viewed", "level": "info", "extra": data})

    return track, lambda: sentry_sdk.flush(300)


def run(options):
    logging.disable(logging.WARNING)
    count, port = options["events"], options.get("port")
    make = {"small": small, "rich": rich}[options["kind"]]
    url = f"{options.get('protocol', 'http')}://{HOST}:{port or 9}"
    track, flush = globals()[options["peer"]](url, port)
    if not port:
        for number in range(1_000):
            track(make(number))
        start = time.thread_time()
        for number in range(count):
            track(make(number))
        return {"cpu": (time.thread_time() - start) / count * 1e6}
    control = socket.create_connection((HOST, options["control"]))
    lines = control.makefile("r")
    arrived = ask(control, lines, "open")
    start, wall = time.process_time(), time.perf_counter()
    for number in range(count):
        track(make(number))
    flush()
    progress, since = -1, time.monotonic()
    while arrived["distinct"] < count and time.monotonic() - since < 3:
        if arrived["requests"] != progress:
            progress, since = arrived["requests"], time.monotonic()
        time.sleep(0.02)
        arrived = ask(control, lines, "count")
    wall = time.perf_counter() - wall
    cpu = (time.process_time() - start) / count * 1e6
    # Where events are missing, the CPU went to those that arrived.
    complete = arrived["distinct"] == count
    return {"cpu": cpu, "wall": wall / count * 1e6, "complete": complete, **arrived}


def ask(control, lines, command):
    control.sendall(command.encode() + b"\n")
    return json.loads(lines.readline())


if __name__ == "__main__":
    print(json.dumps(run(json.loads(sys.argv[1]))))
    sys.stdout.flush()
    os._exit(0)
