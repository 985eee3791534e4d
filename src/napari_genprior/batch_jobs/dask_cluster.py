"""Run a batch on an existing Dask cluster.

This machine reads and writes the files; images are sent to the workers and results are sent back, so no shared file
system is needed. Where a worker dies, its image is processed by another one.
"""

from __future__ import annotations

import hashlib
import warnings
from collections import deque
from collections.abc import Generator as Yields
from pathlib import Path
from typing import Any

from distributed import Client, Future, WorkerPlugin, as_completed
from distributed.scheduler import KilledWorker

from ..core.errors import DeviceError, GenPriorError
from ..core.iteration import run_to_end
from ..core.lazy_io import Lazy
from ..core.result import DeblurResult, Progress
from ..core.version import __version__
from ..zoo.card import read_card
from ..zoo.store import PRIORS, add_folder, readable, user_folder
from .manifest import Entry
from .task import Loaded, Task, failed, load, process, restore, store

CONNECT_TIMEOUT_S = 20
IMAGES_PER_THREAD = 2  # sent ahead, so that no worker thread waits for its next image
PRIOR_FIELDS = ("image_prior", "kernel_prior")


def on_cluster(tasks: list[Task], address: str) -> Yields[Entry | Progress, None, None]:
    """Process the tasks on a cluster, and yield an entry for each finished file, in any order.

    Large images are processed on this machine, piece by piece, at the end.

    Parameters
    ----------
    tasks : list of Task
    address : str
        Address of the scheduler, ``tcp://host:8786``.

    Yields
    ------
    Entry or Progress

    Raises
    ------
    DeviceError
        No scheduler answers, the connection is lost, or the workers have another version of this package.
    FileError
        A result cannot be written.
    """
    try:
        client = Client(address, timeout=CONNECT_TIMEOUT_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise DeviceError(
            f"No Dask scheduler answers at {address} ({error}); give the address as tcp://host:8786."
        ) from error
    with client:
        _check_versions(client)
        models = models_for(tasks[0].arguments)
        client.register_plugin(Models(models))
        waiting = deque(task for task in tasks if not task.large)
        running = dict[Future, tuple[Task, Loaded]]()
        finished = as_completed(loop=client.loop, raise_errors=False)
        while waiting or running:
            while waiting and len(running) < max(
                IMAGES_PER_THREAD, IMAGES_PER_THREAD * sum(client.nthreads().values())
            ):
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
                yield _entry_of(future, *running.pop(future), address)
    for task in tasks:
        if task.large:
            yield (yield from process(task))


def _submit(client: Client, loaded: Loaded, arguments: dict[str, Any]) -> Future:
    """Submit an image as part of its task, which the scheduler keeps: scattered data would be lost with a worker."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sending large graph")
        return client.submit(_restore, loaded.source, arguments, pure=False)


def _restore(source: Lazy, arguments: dict[str, Any]) -> DeblurResult:
    """Restore an image on a worker."""
    return run_to_end(restore(source, arguments))


def _entry_of(future: Future, task: Task, loaded: Loaded, address: str) -> Entry:
    error = future.exception() if future.status == "error" else None
    if isinstance(error, KilledWorker):
        return failed(
            task, GenPriorError(f"{error.allowed_failures + 1} workers died on this file, probably out of memory.")
        )
    if error is not None:
        return failed(task, error)
    if future.status != "finished":
        raise DeviceError(
            f"The connection to the cluster at {address} was lost; finished files are kept, and --resume (resume=True) "
            "continues the batch."
        )
    result: DeblurResult = future.result()
    provenance = result.provenance
    for field, sha256 in task.request["priors"].items():
        if provenance.arguments.get(f"{field}_sha256", sha256) != sha256:
            raise DeviceError(
                f"A worker at {address} used another {field} than the one of that name on this machine; install the "
                "same priors on both."
            )
    return store(task, loaded, result, provenance.seconds)


def _version() -> str:
    return __version__


def _check_versions(client: Client) -> None:
    try:
        versions = client.run(_version)
    except Exception as error:  # the error of a worker without the package depends on the version of Dask
        raise DeviceError(
            f"The workers cannot import napari-genprior ({error}); install it in their environment."
        ) from error
    for worker, version in versions.items():
        if version != __version__:
            raise DeviceError(
                f"Worker {worker} has napari-genprior {version}, this machine has {__version__}; install one version."
            )


def models_for(arguments: dict[str, Any]) -> dict[str, bytes]:
    """Read the cards and weights that workers do not have from the package, by file name.

    These are the requested priors in the user's folder, and the user's own networks that belong to priors.
    """
    requested = {str(name) for name in _prior_names(arguments).values()}
    cards = [Path(name) for name in requested if name.endswith(".json")]
    for path, card in readable():
        if path.parent == user_folder() and (card.name in requested or card.kind not in PRIORS):
            cards.append(path)
    files = {}
    for path in cards:
        name = read_card(path).name
        files[f"{name}.json"] = path.read_bytes()
        files[f"{name}.safetensors"] = path.with_suffix(".safetensors").read_bytes()
    return files


def by_name(arguments: dict[str, Any]) -> dict[str, Any]:
    """Replace paths of cards in the arguments by the names of the priors: workers cannot read the paths."""
    named = {
        field: read_card(Path(name)).name for field, name in _prior_names(arguments).items() if name.endswith(".json")
    }
    settings = arguments.get("settings")
    if settings is not None:
        values = dict(settings) if isinstance(settings, dict) else settings.model_dump()
        arguments = arguments | {"settings": values | {field: named[field] for field in named if field in values}}
    return arguments | {field: name for field, name in named.items() if field in arguments}


def _prior_names(arguments: dict[str, Any]) -> dict[str, str]:
    settings = arguments.get("settings") or {}
    values = settings if isinstance(settings, dict) else settings.model_dump()
    named = {field: arguments.get(field) or values.get(field) for field in PRIOR_FIELDS}
    return {field: str(name) for field, name in named.items() if name}


class Models(WorkerPlugin):
    """A worker plugin that sends models to each worker once, also to workers that join later or restart."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.name = "genprior-" + hashlib.sha256(b"".join(files.values())).hexdigest()[:16]

    def setup(self, worker: Any) -> None:
        folder = Path(worker.local_directory) / self.name
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.files.items():
            (folder / name).write_bytes(content)
        add_folder(folder)
