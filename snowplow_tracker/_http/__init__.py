"""The requests that an emitter makes.

- `transport`: the entry. A user's session is used as it is; other requests are made in one of two ways.
- `keep_alive`: kept connections of `http.client`, which know nothing of requests (fast path).
- `through_requests`: a session of requests, where the first way might make a difference.
- `bypass`: decides whether a request may be made without requests. In doubt, it may not.
- `sockets`, `deadline`: time limits for a whole request.
- `endpoint`: the URLs of requests, and what of them may be logged.
"""
