"""An application that only queues events in Redis, and a worker that delivers them."""
