"""The wire format of events: how an event is written.

- `parameters`: the rules of the pipeline for the parameters of an event. `text`: strings that can be sent.
- `json`: self-describing data as JSON. `deferred`: its envelope and base64, which are added when the value is read.
- `event_ids`: ids of events. `cookies`: ids of users from the cookies of a browser.
- `contexts`, `schema_rules`: entities that are added to many events, and the rules for which events.
- `bodies`: the bodies of POST requests.
- `value_object`: equality, copies and pickles of events and their parts.
"""
