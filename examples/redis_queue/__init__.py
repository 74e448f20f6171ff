"""An application that only queues events in Redis, and the worker of the package that delivers them."""
