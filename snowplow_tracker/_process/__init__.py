"""The process around the tracker: how it forks, how it is interrupted, and how it ends."""
