"""A batch on a Dask cluster that is there already.

Files are read and written here; images travel to the workers and results back, so no file system is shared. An image
whose worker dies is done by another.
"""

from __future__ import annotations

import hashlib
import warnings
from collections import deque
from collections.abc import Generator as Yields
from pathlib import Path
from typing import Any

import numpy as np
from distributed import Client, Future, WorkerPlugin, as_completed
from distributed.scheduler import KilledWorker

from ..core.errors import DeviceError, GenPriorError
from ..core.iteration import run_to_end
from ..core.lazy_io import Lazy
from ..core.result import Progress
from ..core.version import __version__
from ..zoo.card import read_card
from ..zoo.store import PRIORS, add_folder, readable, user_folder
from .manifest import Entry
from .task import Loaded, Solved, Task, do, failed, load, solve, store

ANSWER_S = 20  # for the scheduler to answer
AHEAD = 2  # images on their way for each thread of the workers, so that none waits for the next
IMAGE_FIELDS = ("image_prior", "kernel_prior")


def on_cluster(tasks: list[Task], address: str) -> Yields[Entry | Progress, None, None]:
    """Finished files, in any order. Large images are done here, tile by tile, at the end.

    Raises
    ------
    DeviceError
        No scheduler answers, it went away, or its workers have another version of this package.
    FileError
        A result cannot be written.
    """
    try:
        client = Client(address, timeout=ANSWER_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise DeviceError(
            f"No Dask scheduler answers at {address} ({error}); it is named as tcp://host:8786."
        ) from error
    with client:
        _same_version(client)
        models = models_for(tasks[0].arguments)
        client.register_plugin(Models(models))
        waiting = deque(task for task in tasks if not task.large)
        running = dict[Future, tuple[Task, Loaded]]()
        finished = as_completed(loop=client.loop, raise_errors=False)
        while waiting or running:
            while waiting and len(running) < max(AHEAD, AHEAD * sum(client.nthreads().values())):
                task = waiting.popleft()
                try:
                    loaded = load(task)
                except Exception as error:
                    yield failed(task, error)
                    continue
                future = _submit(client, loaded, by_name(task.arguments))
                running[future] = task, loaded
                finished.add(future)
            if running:
                future = next(finished)
                yield _outcome(future, *running.pop(future), address)
    for task in tasks:
        if task.large:
            yield (yield from do(task))


def _submit(client: Client, loaded: Loaded, arguments: dict[str, Any]) -> Future:
    """The image is part of the task, which the scheduler keeps: scattered to a worker it would die with that."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sending large graph")
        return client.submit(_solve, loaded.image, loaded.stack, arguments, pure=False)


def _solve(image: np.ndarray, stack: Lazy | None, arguments: dict[str, Any]) -> Solved:
    return run_to_end(solve(image, stack, arguments))


def _outcome(future: Future, task: Task, loaded: Loaded, address: str) -> Entry:
    error = future.exception() if future.status == "error" else None
    if isinstance(error, KilledWorker):
        return failed(
            task, GenPriorError(f"{error.allowed_failures + 1} workers died of it, perhaps for want of memory.")
        )
    if error is not None:
        return failed(task, error)
    if future.status != "finished":
        raise DeviceError(f"The cluster at {address} went away; what was finished is kept, and resume goes on.")
    solved: Solved = future.result()
    provenance = solved.report["provenance"]
    for field, sha256 in task.asked["priors"].items():
        if provenance["arguments"].get(f"{field}_sha256", sha256) != sha256:
            raise DeviceError(f"A worker at {address} used another {field} than this machine has of that name.")
    return store(task, loaded, solved, provenance["seconds"])


def _version() -> str:
    return __version__


def _same_version(client: Client) -> None:
    try:
        versions = client.run(_version)
    except Exception as error:  # what a worker without the package answers depends on Dask's version
        raise DeviceError(f"The workers cannot use napari-genprior ({error}); install it there.") from error
    for worker, version in versions.items():
        if version != __version__:
            raise DeviceError(f"Worker {worker} has napari-genprior {version}, this machine has {__version__}.")


def models_for(arguments: dict[str, Any]) -> dict[str, bytes]:
    """Cards and weights that workers need and do not have from the package, by file name.

    These are the user's own priors that are asked for, and the networks of the user's own that belong to priors.
    """
    asked = {str(name) for name in _named(arguments).values()}
    cards = [Path(name) for name in asked if name.endswith(".json")]
    for path, card in readable():
        if path.parent == user_folder() and (card.name in asked or card.kind not in PRIORS):
            cards.append(path)
    found = {}
    for path in cards:
        name = read_card(path).name
        found[f"{name}.json"] = path.read_bytes()
        found[f"{name}.safetensors"] = path.with_suffix(".safetensors").read_bytes()
    return found


def by_name(arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments in which priors go by their names: a card's path here is none of the workers'."""
    named = {field: read_card(Path(name)).name for field, name in _named(arguments).items() if name.endswith(".json")}
    settings = arguments.get("settings")
    if settings is not None:
        values = dict(settings) if isinstance(settings, dict) else settings.model_dump()
        arguments = arguments | {"settings": values | {field: named[field] for field in named if field in values}}
    return arguments | {field: name for field, name in named.items() if field in arguments}


def _named(arguments: dict[str, Any]) -> dict[str, str]:
    settings = arguments.get("settings") or {}
    values = settings if isinstance(settings, dict) else settings.model_dump()
    named = {field: arguments.get(field) or values.get(field) for field in IMAGE_FIELDS}
    return {field: str(name) for field, name in named.items() if name}


class Models(WorkerPlugin):
    """Models that each worker is sent once, when it is there, or when it comes later or again."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.name = "genprior-" + hashlib.sha256(b"".join(files.values())).hexdigest()[:16]

    def setup(self, worker: Any) -> None:
        folder = Path(worker.local_directory) / self.name
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.files.items():
            (folder / name).write_bytes(content)
        add_folder(folder)
