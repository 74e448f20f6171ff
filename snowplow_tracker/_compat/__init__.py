"""Code for compatibility with 1.1.0, and the list of what users of 1.1.0 rely on.

In this package: `tracking` (the deprecated `track_*` methods of `Tracker`), `queue` (the former `AsyncEmitter.queue`),
`requester` (the pair of functions that make requests, and that programs replace), `event_buffer` (the list of waiting
events that subclasses of the store in memory change), `store_in_use` (the store as overrides of `send_events` see it),
`sending` (methods that only 1.1.0 needed, some of which copies of its `send_events` call).

Seams: what users override or replace. It must be looked up on `self`, the class or the module each time.

| seam | who relies on it |
|---|---|
| `Emitter.http_post`, `http_get` return an int or a response, and may raise | dbt's emitter subclass |
| `Emitter.input`, `flush`, `sync_flush`, `send_events`, `reached_limit`, `attach_sent_timestamp`, `is_good_status_code`, and `AsyncEmitter.flush`, `sync_flush`, `send_events` | subclasses; tests that patch them |
| `emitter.event_store.cleanup` in an override of `send_events` settles the events of the batch | subclasses that send by themselves |
| `Emitter._should_retry`, `_set_retry_delay`, `_reset_retry_delay`, `_retry_failed_events`, `_set_retry_timer`, `_cancel_retry_timer`, `retry_delay = seconds`; `InMemoryEventStore._buffer_capacity_reached` | subclasses with a changed copy of 1.1.0's methods |
| `request_method.post`, `request_method.get`; `snowplow_tracker.emitters.requests` | tests that patch where 1.1.0 made its requests |
| `snowplow_tracker.tracker.uuid` | tests that patch where 1.1.0 made its ids |
| `Tracker.track`, `complete_payload`, `get_uuid`, `get_timestamp`, `track_self_describing_event` | subclasses; tests that fix ids and times |
| `Event.build_payload` and `self.payload` | event classes of users |
| `Tracker.__init__`, `AsyncEmitter.__init__` replaced by a stub | tests of Meltano and others: no hook may fail on such an object |
| `time.time()` for all time stamps | freezegun |
| sessions and functions of requests | responses, requests-mock, httmock |
| `EventStore` with four methods; anything with `input(payload)` as an emitter | stores and emitters of users |
| attributes that may be set after construction: `endpoint`, `on_success`, `on_failure`, `request_timeout`, `custom_retry_codes`, `batch_size`, `byte_limit` | programs that configure late |
| `tracker.emitters`, `.subject`, `.standard_nv_pairs`, `.encode_base64`, `.json_encoder`; `emitter.event_store`, `.bytes_queued`, `.timer`, `.retry_timer`, `.lock`, `.method`, `.retry_delay`; `InMemoryEventStore.buffer_capacity` | programs that look inside |
| `InMemoryEventStore.event_buffer` may be changed and set, and calls of a subclass come one at a time | subclasses of the store |
| names that modules of 1.1.0 had imported (`emitters.SelfDescribingJson`, `tracker.VERSION`, `subject.DEFAULT_PLATFORM` and others): `tests/surface/api.txt` | imports from the places where they were found |
"""
