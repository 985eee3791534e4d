"""A batch on a Dask cluster of several processes gives the same results, also where a worker is killed."""

import json
import os
import signal

import numpy as np
import pytest

import napari_genprior as gp
from images import blocks
from napari_genprior.core.errors import DeviceError
from napari_genprior.core.image_io import write_image
from napari_genprior.zoo import store

distributed = pytest.importorskip("distributed")
from napari_genprior.batch_jobs import dask_cluster as batch_cluster  # noqa: E402

KERNEL = np.full((3, 5), 1 / 15, np.float32)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two workers in separate processes, which do not have the folders of this process."""
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        dashboard_address=None,
        local_directory=str(tmp_path_factory.mktemp("workers")),
    ) as running:
        yield running


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(12):
        blurred = gp.simulate(blocks(64, 64, number), kernel=KERNEL, noise=0.01, seed=number).blurred
        write_image(folder / f"p{number:02}.png", (np.clip(blurred, 0, 1) * 255).astype(np.uint8))
    return folder


def results(out):
    return {path.name: path.read_bytes() for path in out.glob("*.png")}


@pytest.mark.slow
def test_priors_of_the_users_own_are_sent_and_checked(cluster, tmp_path, monkeypatch):
    """The workers have no prior of that name; card and weights are sent to them."""
    own = tmp_path / "own"
    own.mkdir()
    shipped = store.folders()[-1]
    card = json.loads((shipped / "motion-28.json").read_text())
    (own / "my-shake.json").write_text(json.dumps(card | {"name": "my-shake"}))
    (own / "my-shake.safetensors").write_bytes((shipped / "motion-28.safetensors").read_bytes())
    monkeypatch.setattr(store, "user_folder", lambda: own)
    monkeypatch.setattr(batch_cluster, "user_folder", lambda: own)
    image = write_image(tmp_path / "p.png", (blocks(28, 28) * 255).astype(np.uint8))
    arguments = {"method": "known-kernel", "kernel": KERNEL}
    assert batch_cluster.models_for(arguments) == {}
    priors = {"image_prior": "digits-28-linear", "kernel_prior": "my-shake"}
    arguments = {"method": "generator", "steps": 2, "restarts": 1, **priors}
    assert set(batch_cluster.models_for(arguments)) == {"my-shake.json", "my-shake.safetensors"}
    [entry] = gp.batch(image, tmp_path / "out", cluster=cluster.scheduler_address, **arguments)
    assert entry.state == "done", entry.reason
    assert entry.report["provenance"]["arguments"]["kernel_prior_sha256"] == card["sha256"]
    path = {"method": "classical", "kernel_prior": str(own / "my-shake.json")}
    assert batch_cluster.by_name(path)["kernel_prior"] == "my-shake"
    assert set(batch_cluster.models_for(path)) == {"my-shake.json", "my-shake.safetensors"}


@pytest.mark.slow
def test_an_unreachable_cluster_is_an_error_and_leaves_nothing(images, tmp_path, monkeypatch):
    monkeypatch.setattr(batch_cluster, "CONNECT_TIMEOUT_S", 0.5)
    with pytest.raises(DeviceError, match="No Dask scheduler answers"):
        gp.batch(images, tmp_path / "out", kernel=KERNEL, cluster="tcp://127.0.0.1:1")
    assert results(tmp_path / "out") == {}


@pytest.mark.slow
def test_workers_of_another_version_are_refused(cluster, images, tmp_path, monkeypatch):
    monkeypatch.setattr(batch_cluster, "__version__", "0.0.0")
    with pytest.raises(DeviceError, match=r"has napari-genprior .*, this machine has 0\.0\.0"):
        gp.batch(images, tmp_path / "out", kernel=KERNEL, cluster=cluster.scheduler_address)


@pytest.mark.slow
def test_the_images_of_a_killed_worker_are_processed_by_another(cluster, images, tmp_path):
    """This test is the last one, because a killed worker is replaced only after seconds."""
    (images / "bad.png").write_bytes(b"no picture")
    gp.batch(images, tmp_path / "here", kernel=KERNEL)
    with distributed.Client(cluster, set_as_default=False) as client:
        workers = client.run(os.getpid)
    killed = False
    progress = gp.iter_batch(images, tmp_path / "out", kernel=KERNEL, cluster=cluster.scheduler_address)
    for state in progress:
        if state.done and not killed:
            os.kill(next(iter(workers.values())), signal.SIGKILL)
            killed = True
    assert killed
    lines = [json.loads(line) for line in (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()[1:]]
    assert sorted(line["name"] for line in lines) == ["bad.png", *(f"p{number:02}.png" for number in range(12))]
    assert [line["name"] for line in lines if line["state"] == "failed"] == ["bad.png"]
    assert results(tmp_path / "out") == results(tmp_path / "here")
