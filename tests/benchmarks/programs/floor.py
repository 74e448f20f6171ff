"""What the standard library alone needs for the work of a row. Options: `row`, and those of the row's program."""

import base64
import http.client
import json
import os
import socket
import ssl
import sys
import threading
import time
import uuid
from pathlib import Path

FIXED = {"e": "pv", "page": "Green shoes, size 42", "refr": "https://search.example/?q=green+shoes"}
FIXED.update({"tv": "py-1.2.0", "p": "pc", "aid": "shop", "tna": "benchmark"})


def random_id(number):
    return str(uuid.uuid4())


def id_without_system_call(number):
    return f"00000000-0000-4000-8000-{number:012x}"


def small(number, make_id=random_id):
    event = FIXED.copy()
    event["url"] = f"https://shop.example/shoes/bench-{number:07d}"
    event["eid"] = make_id(number)
    event["dtm"] = str(int(time.time() * 1000))
    return event


def described(name, data):
    return {"schema": f"iglu:com.example/{name}/jsonschema/1-0-0", "data": data}


def wrapped(name, data):
    schema = f"iglu:com.snowplowanalytics.snowplow/{name}/jsonschema/1-0-0"
    text = json.dumps({"schema": schema, "data": data})
    return base64.urlsafe_b64encode(text.encode()).decode()


def rich(number, make_id=random_id):
    event = small(number, make_id)
    data = {"order": event["url"], "total": 129.95, "currency": "EUR", "items": 3, "first": False}
    customer = {"id": 4711, "segment": "returning", "newsletter": True, "country": "NL"}
    basket = {"skus": ["shoe-42-green", "sock-42", "polish"], "coupon": None, "weight": 1.2}
    event["ue_px"] = wrapped("unstruct_event", described("order_placed", data))
    entities = [described("customer", customer), described("basket", basket)]
    event["cx"] = wrapped("contexts", entities)
    return event


def tracking(make, count, make_id=random_id):
    queue = []
    append = queue.append
    start = time.thread_time()
    for number in range(count):
        append(make(number, make_id))
    return {"cpu": (time.thread_time() - start) / count * 1e6}


def alone(make, count, threads):
    """As `tracking`, from several threads that share nothing but the interpreter.

    A system call for each event would hand the interpreter to the next thread each time.
    """
    starts = threading.Barrier(threads + 1)

    def work():
        starts.wait()
        tracking(make, count // threads, id_without_system_call)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    starts.wait()
    start = time.perf_counter()
    for worker in workers:
        worker.join()
    return {"wall": (time.perf_counter() - start) / count * 1e6}


def delivering(options, batch):
    control = socket.create_connection(("127.0.0.1", options["control"]))
    control.sendall(b"open\n")
    control.recv(4096)
    if options["protocol"] == "https":
        context = ssl.create_default_context(cafile=os.environ["REQUESTS_CA_BUNDLE"])
        connection = http.client.HTTPSConnection("127.0.0.1", options["port"], context=context)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", options["port"])
    headers = {"Content-Type": "application/json; charset=utf-8"}
    schema = "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4"
    start = time.process_time()
    for first in range(0, options["events"], batch):
        events = [small(number) for number in range(first, first + batch)]
        body = json.dumps({"schema": schema, "data": events})
        connection.request("POST", "/com.snowplowanalytics.snowplow/tp2", body.encode(), headers)
        connection.getresponse().read()
    return {"cpu": (time.process_time() - start) / options["events"] * 1e6}


def appending(options):
    """How many times a second the disk can be told to keep 300 bytes."""
    path = Path(options["folder"], "appended")
    text = b"x" * 300
    with path.open("wb", buffering=0) as file:
        count, start = 0, time.perf_counter()
        while time.perf_counter() - start < options["seconds"]:
            file.write(text)
            os.fsync(file.fileno())
            count += 1
        rate = count / (time.perf_counter() - start)
    path.unlink()
    return {"rate": rate}


def run(options):
    row = options["row"]
    if row == "small":
        return tracking(small, options["events"])
    if row == "rich":
        return tracking(rich, options["events"])
    if row == "threads":
        make = {"small": small, "rich": rich}[options["kind"]]
        return alone(make, options["events"], options["threads"])
    if row == "disk":
        return appending(options)
    return delivering(options, options["batch"])


if __name__ == "__main__":
    print(json.dumps(run(json.loads(sys.argv[1]))))
    sys.stdout.flush()
    os._exit(0)
