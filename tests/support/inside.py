"""What tests know of the inside of the package: the one list of it.

A module that is moved or renamed is changed here only. What can be tested through the public names is tested through them;
here is what is pure and wants its clock or its bytes from the test, and what a test has to replace.
"""
# ruff: noqa: F401 - it is for others

from snowplow_tracker._cli import common, json_input
from snowplow_tracker._delivery import counts, flushing, options, retry, state, threads
from snowplow_tracker._http import (
    bypass,
    deadline,
    endpoint,
    keep_alive,
    sockets,
    through_requests,
    transport,
)
from snowplow_tracker._process import fork, identity, interrupts, locking
from snowplow_tracker._protocol import bodies as request_bodies
from snowplow_tracker._protocol import cookies as request_cookies
from snowplow_tracker._protocol import json, parameters, text
from snowplow_tracker._stores import bodies, redaction, redis_clients, redis_leases, sqlite_file
from snowplow_tracker.iglu._generator import model, names
from snowplow_tracker.testing import _http as collector_http
