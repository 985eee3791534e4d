"""A generator driven in a thread of its own, so that whoever waits for its next item need not wait to give up."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator
from typing import Any

LOOK_EVERY = 0.02  # s


_turn = threading.Lock()  # two solvers at a time would take longer than one after the other


class BackgroundGenerator:
    """Takes items out of a generator, one ahead of who takes them out here; one pump at a time, others wait.

    A step of a solver cannot be broken off. After ``stop`` is set, the thread lives until the step under way is done;
    then the generator is closed, and what the step made is thrown away.

    Parameters
    ----------
    generator : Generator
    stop : threading.Event
        Set by whoever wants no more; also looked at while others have their turn.
    """

    def __init__(self, generator: Generator[Any, None, Any], stop: threading.Event) -> None:
        self._generator, self._stop = generator, stop
        self._items: queue.Queue = queue.Queue(maxsize=1)  # more would fill the memory with images
        self.waiting = True  # for its turn
        threading.Thread(target=self._run, name="genprior solver").start()

    def take(self, seconds: float) -> Any:
        """The next item; None where there is none within ``seconds``.

        Raises
        ------
        StopIteration
            The generator is through; holds its return value.
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
        while not _turn.acquire(timeout=LOOK_EVERY):
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
            _turn.release()

    def _is_over(self) -> bool:
        # Python waits for this thread when it ends, and nobody may be left to set ``stop`` then
        return self._stop.is_set() or not threading.main_thread().is_alive()

    def _put(self, kind: str, item: Any) -> None:
        while not self._is_over():
            try:
                self._items.put((kind, item), timeout=LOOK_EVERY)
                return
            except queue.Full:
                continue
