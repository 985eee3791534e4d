"""Run a generator in a thread of its own, so that its consumer can stop waiting for the next item at any time."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator
from typing import Any

POLL_S = 0.02


_one_at_a_time = threading.Lock()  # two runs at a time would take longer than one after the other


class BackgroundGenerator:
    """Take items from a generator in a thread, one item ahead of the consumer; a second generator waits for the first.

    A step of a run cannot be interrupted. After ``stop`` is set, the thread lives until the current step is done; then
    the generator is closed, and the result of the step is dropped.

    Parameters
    ----------
    generator : Generator
    stop : threading.Event
        Set by the consumer to end the run, also while it waits for another one.
    """

    def __init__(self, generator: Generator[Any, None, Any], stop: threading.Event) -> None:
        self._generator, self._stop = generator, stop
        self._items: queue.Queue = queue.Queue(maxsize=1)  # more would fill the memory with images
        self.waiting = True  # for another run to end
        threading.Thread(target=self._run, name="genprior run").start()

    def take(self, seconds: float) -> Any:
        """Return the next item; None where there is none within ``seconds``.

        Raises
        ------
        StopIteration
            The generator is exhausted; holds its return value.
        Exception
            Whatever the generator raised.
        """
        try:
            kind, item = self._items.get(timeout=seconds)
        except queue.Empty:
            return None
        if kind == "raised":
            raise item
        if kind == "end":
            raise StopIteration(item)
        return item

    def _run(self) -> None:
        while not _one_at_a_time.acquire(timeout=POLL_S):
            if self._is_over():
                self._generator.close()
                return
        self.waiting = False
        try:
            while not self._is_over():
                self._put("item", next(self._generator))
        except StopIteration as end:
            self._put("end", end.value)
        except BaseException as error:
            self._put("raised", error)
        finally:
            self._generator.close()
            _one_at_a_time.release()

    def _is_over(self) -> bool:
        # Python waits for this thread when it ends, and nobody may be left to set ``stop`` then
        return self._stop.is_set() or not threading.main_thread().is_alive()

    def _put(self, kind: str, item: Any) -> None:
        while not self._is_over():
            try:
                self._items.put((kind, item), timeout=POLL_S)
                return
            except queue.Full:
                continue
