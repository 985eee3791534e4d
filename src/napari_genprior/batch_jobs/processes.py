"""Run a batch in several processes on this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Generator as Yields
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import Connection

import torch

from ..core.errors import GenPriorError
from ..core.iteration import run_to_end
from .manifest import Entry
from .task import Task, failed, process


def in_processes(tasks: list[Task], jobs: int) -> Yields[Entry, None, None]:
    """Process the tasks in ``jobs`` processes, and yield an entry for each finished file, in any order.

    Where one process is killed from outside (mostly out of memory), the pool of processes is lost. The files that
    were being processed are then tried again, one at a time; a file whose process is killed again has failed.
    """
    while tasks:
        suspects, tasks = yield from _pooled(tasks, jobs)
        for task in suspects:
            lost, _ = yield from _pooled([task], 1)
            if lost:
                reason = "Its process was killed twice, probably out of memory; cut the image, or use smaller images."
                yield failed(task, GenPriorError(reason))


def _pooled(tasks: list[Task], jobs: int) -> Yields[Entry, None, tuple[list[Task], list[Task]]]:
    """Process tasks until a process is killed; return the tasks that were running then, and those not yet started."""
    todo, running = deque(tasks), dict[Future, Task]()
    suspects: list[Task] = []
    with _pool(jobs) as pool:
        while running or (todo and not suspects):
            while todo and not suspects and len(running) < jobs:
                task = todo.popleft()
                try:
                    running[pool.submit(_process, task)] = task
                except BrokenProcessPool:
                    suspects.append(task)
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                task = running.pop(future)
                try:
                    entry = future.result()
                except BrokenProcessPool:
                    suspects.append(task)
                else:
                    yield entry
    return suspects, list(todo)


@contextmanager
def _pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Start processes that end at the end of the block, and when this process is killed."""
    context = multiprocessing.get_context("spawn")
    theirs, ours = context.Pipe(duplex=False)  # nothing is sent: the end of the connection is the signal
    threads = max(1, torch.get_num_threads() // jobs)
    pool = ProcessPoolExecutor(jobs, context, _initialize, (theirs, threads))
    try:
        yield pool
    finally:
        ours.close()
        pool.shutdown(cancel_futures=True)
        theirs.close()


def _initialize(connection: Connection, threads: int) -> None:
    """Make a process ignore Ctrl-C, which its parent handles, and exit when its parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_with_parent, args=(connection,), daemon=True).start()
    torch.set_num_threads(threads)


def _exit_with_parent(connection: Connection) -> None:
    try:
        connection.recv()
    except (EOFError, OSError):
        os._exit(1)


def _process(task: Task) -> Entry:
    return run_to_end(process(task))
