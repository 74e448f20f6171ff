"""The requests that an emitter makes.

- `transport`: the entry. A user's session is used as it is; other requests go one of two ways.
- `keep_alive`: kept connections of `http.client`, which know nothing of requests (fast path).
- `through_requests`: a session of requests, where the other way might make a difference.
- `bypass`: answers whether a request may go past requests. In doubt it says no.
- `sockets`, `deadline`: time limits that hold for a whole request, whatever a network does.
- `endpoint`: where requests go, and what of that may be shown.
"""
