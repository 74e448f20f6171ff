"""The floor of row 12: the same request by http.client. Options: the collector's port, `http` or `https`."""

import http.client
import json
import os
import ssl
import sys
import time
import uuid

port = int(sys.argv[1])
if sys.argv[2] == "https":
    context = ssl.create_default_context(cafile=os.environ["REQUESTS_CA_BUNDLE"])
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context)
else:
    connection = http.client.HTTPConnection("127.0.0.1", port)
event = {
    "e": "pv",
    "url": "https://shop.example/bench-0000001",
    "eid": str(uuid.uuid4()),
    "dtm": str(int(time.time() * 1000)),
}
body = json.dumps({"data": [event]})
connection.request("POST", "/com.snowplowanalytics.snowplow/tp2", body)
connection.getresponse().read()
