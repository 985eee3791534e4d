"""The bug report holds versions, devices and models, and no names of users, hosts or folders."""

import getpass
import json
import logging
import platform
from pathlib import Path

import pytest

from napari_genprior.cli import _doctor as doctor
from napari_genprior.cli import main
from napari_genprior.core import log_file as logs


@pytest.fixture
def jane(monkeypatch, tmp_path):
    """A user, a host and a home folder with recognizable names."""
    home = tmp_path / "home" / "jane.doe"
    home.mkdir(parents=True)
    monkeypatch.setattr(getpass, "getuser", lambda: "jane.doe")
    monkeypatch.setattr(platform, "node", lambda: "lab-7.example.org")
    monkeypatch.setattr(Path, "home", lambda: home)
    monkeypatch.setattr(logs, "file", lambda: home / "log.txt")
    return home


@pytest.mark.slow
def test_the_report_holds_versions_devices_and_models(jane, tmp_path, capsys):
    assert main(["doctor", "--report", str(tmp_path / "r.json")]) == 0
    assert "read it before you send it" in capsys.readouterr().out
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["faults"] == []
    assert report["packages"]["torch"].startswith("2.")
    assert any("devices: cpu" in line for line in report["installation"])
    assert len(report["models"]["motion-28"].rpartition(" ")[2]) == 64
    assert set(report) >= {"python", "environment", "log", "learnt_seconds"}


@pytest.mark.slow
def test_the_report_holds_no_names_of_users_hosts_or_folders(jane, tmp_path):
    secrets = [
        f"left out: The card {jane}/patients/mueller.json is not usable",
        "Cannot write /data/grant-4711/result.tif: Permission denied.",
        r"C:\Users\jane.doe\study.tif cannot be read; jane.doe@lab-7.example.org, host LAB-7",
        "10x12 px, kernel as in motion-28, 3 of 4 (5.5 s), 2026-11-21 10:00:00",
    ]
    logs.file().write_text("\n".join(secrets))
    text = json.dumps(doctor.report())
    for secret in ("jane", "lab-7", "LAB-7", "patients", "grant-4711", "Users", str(tmp_path)):
        assert secret not in text, secret
    assert "result.tif: Permission denied" in text
    assert "10x12 px, kernel as in motion-28, 3 of 4 (5.5 s), 2026-11-21 10:00:00" in text


def test_common_names_are_kept(monkeypatch):
    monkeypatch.setattr(getpass, "getuser", lambda: "root")
    assert doctor.without_names("root mean square, 3/4, a/b") == "root mean square, 3/4, a/b"


def test_the_log_records_messages_and_stays_small(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "file", lambda: tmp_path / "logs" / "log.txt")
    package = logging.getLogger("napari_genprior")
    monkeypatch.setattr(package, "handlers", [])
    logs.enable()
    logs.enable()
    assert len(package.handlers) == 1
    for number in range(5000):
        logging.getLogger("napari_genprior.tests").info("line %d %s", number, "x" * 100)
    package.handlers[0].close()
    assert len(logs.last_lines()) == logs.LAST_LINES
    assert "line 4999" in logs.last_lines()[-1]
    assert sum(path.stat().st_size for path in (tmp_path / "logs").iterdir()) <= 2 * logs.MAX_BYTES + 1000


def test_a_log_that_cannot_be_written_does_not_stop_the_program(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setattr(logs, "file", lambda: tmp_path / "file" / "log.txt")
    package = logging.getLogger("napari_genprior")
    monkeypatch.setattr(package, "handlers", [])
    logs.enable()
    logging.getLogger("napari_genprior.tests").info("nobody hears it")
    assert logs.last_lines() == []
    assert capsys.readouterr().err == ""
