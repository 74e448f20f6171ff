"""Run a program's `run` under the profiler, all threads together.

Times are CPU of the thread: waiting costs nothing, and the clock itself adds to each call. From Python 3.12 on a profile
sees all threads at once, and shows wall time.
Arguments: the program's path, options, how to sort.
"""

import cProfile
import importlib.util
import json
import os
import pstats
import sys
import threading
import time
from pathlib import Path

CLOCK = time.thread_time if sys.version_info < (3, 12) else time.perf_counter

profiles = []


class Profile(cProfile.Profile):
    def create_stats(self):
        # What a thread is in the middle of would be closed with the clock of another thread.
        self.snapshot_stats()


def profile_threads():
    run = threading.Thread.run

    def profiled_run(self):
        profile = Profile(CLOCK)
        try:
            profile.enable()
        except ValueError:  # from 3.12 on: another one is looking already
            run(self)
            return
        profiles.append(profile)
        run(self)

    threading.Thread.run = profiled_run


def load(path):
    sys.path.insert(0, str(Path(path).resolve().parent))
    spec = importlib.util.spec_from_file_location("profiled_program", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main():
    path, options, order = sys.argv[1:4]
    program = load(path)
    profile_threads()
    here = Profile(CLOCK)
    profiles.append(here)
    here.enable()
    result = program.run(json.loads(options))
    here.disable()
    statistics = pstats.Stats(here)
    for profile in profiles[1:]:
        if profile.getstats():
            statistics.add(profile)
    statistics.strip_dirs().sort_stats(order).print_stats(40)
    print(json.dumps(result))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
