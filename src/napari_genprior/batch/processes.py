"""A batch in several processes of this machine."""

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
from .task import Task, do, failed


def in_processes(tasks: list[Task], jobs: int) -> Yields[Entry, None, None]:
    """Finished files, in any order.

    A process that is killed from outside (mostly for want of memory) takes those beside it along. So the files that
    were under way are tried once more, each alone, and only one that its process dies of again has failed.
    """
    while tasks:
        suspects, tasks = yield from _pooled(tasks, jobs)
        for task in suspects:
            lost, _ = yield from _pooled([task], 1)
            if lost:
                reason = "Its process was killed twice, perhaps for want of memory: the image is too large."
                yield failed(task, GenPriorError(reason))


def _pooled(tasks: list[Task], jobs: int) -> Yields[Entry, None, tuple[list[Task], list[Task]]]:
    """Returns what was under way when a process was killed, and what had not been begun."""
    todo, running = deque(tasks), dict[Future, Task]()
    suspects: list[Task] = []
    with _pool(jobs) as pool:
        while running or (todo and not suspects):
            while todo and not suspects and len(running) < jobs:
                task = todo.popleft()
                try:
                    running[pool.submit(_do, task)] = task
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
    """Processes that end when this block is left, and when this process is killed."""
    context = multiprocessing.get_context("spawn")
    theirs, ours = context.Pipe(duplex=False)  # nothing is sent: its closing is the message
    threads = max(1, torch.get_num_threads() // jobs)
    pool = ProcessPoolExecutor(jobs, context, _begin, (theirs, threads))
    try:
        yield pool
    finally:
        ours.close()
        pool.shutdown(cancel_futures=True)
        theirs.close()


def _begin(end: Connection, threads: int) -> None:
    """Of a process: Ctrl-C is its parent's affair, and it dies with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_wait_for_end, args=(end,), daemon=True).start()
    torch.set_num_threads(threads)


def _wait_for_end(end: Connection) -> None:
    try:
        end.recv()
    except (EOFError, OSError):
        os._exit(1)


def _do(task: Task) -> Entry:
    return run_to_end(do(task))
