"""A dramatiq broker and one actor that tracks."""

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from tracking import track

dramatiq.set_broker(RedisBroker(url=os.environ["APPLICATION_REDIS"]))


@dramatiq.actor
def work():
    track("actor")
