"""Relaxations on a cluster: a real scheduler and real workers, one of which is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from ase.build import bulk
from pymatgen.core import Structure

from explorer.cluster import ClusterRelaxer
from explorer.cluster_task import _engine
from explorer.crystals import from_atoms
from explorer.potentials import EnergyLevel, PotentialError, potential
from explorer.relax import Relaxer
from explorer.relaxation import Limits
from explorer.relaxers import open_relaxer, read_resources

MODULE = """
import os, signal
from ase.calculators.emt import EMT

class Emt(EMT):
    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        if "Ag" in atoms.get_chemical_symbols():
            os.kill(os.getpid(), signal.SIGSEGV)
        super().calculate(atoms, properties, system_changes)

def make():
    return Emt()

make.elements = ("Al", "Cu", "Ag")
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Install a potential, silver of which kills its process, for this and for child processes."""
    folder = tmp_path_factory.mktemp("package")
    (folder / "cluster_emt.py").write_text(MODULE, encoding="utf-8")
    info = folder / "cluster_emt-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: cluster-emt\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[hullscape.potentials]\nclusteremt = cluster_emt:make\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        yield folder


class Cluster:
    """A scheduler that gives up a task after two workers died of it, and its workers."""

    def __init__(self, folder: Path) -> None:
        self.file, self.log = folder / "scheduler.json", (folder / "cluster.log").open("wb")
        self.environment = os.environ | {
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1",
            "OMP_NUM_THREADS": "1",
        }
        options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
        self.scheduler = self._start("scheduler", *options)
        self.workers = [self.add_worker() for _ in range(2)]

    def _start(self, kind: str, *options: str) -> subprocess.Popen:
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *options]
        command += ["--scheduler-file", str(self.file)]
        return subprocess.Popen(
            command, env=self.environment, stdout=self.log, stderr=self.log, start_new_session=True
        )

    def add_worker(self) -> subprocess.Popen:
        """Start a worker of one thread; it takes GPU tasks, and is started again when it dies."""
        options = ["--nthreads", "1", "--resources", "GPU=1", "--no-dashboard"]
        return self._start("worker", *options)

    @property
    def address(self) -> str:
        """Where the scheduler listens, once it does."""
        while not self.file.exists() or not self.file.read_text(encoding="utf-8"):
            assert self.scheduler.poll() is None, "the scheduler died"
        return json.loads(self.file.read_text(encoding="utf-8"))["address"]

    def end(self) -> None:
        """Kill all of it."""
        for process in (*self.workers, self.scheduler):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.log.close()


@pytest.fixture(scope="module")
def cluster(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Run a scheduler and two workers on loopback."""
    started = Cluster(tmp_path_factory.mktemp("cluster"))
    yield started
    started.end()


def fcc(symbol: str, a: float) -> Structure:
    """Return a cubic metal with a lattice parameter in Å."""
    return from_atoms(bulk(symbol, "fcc", a=a))


def test_a_killed_worker_costs_nothing_and_results_are_those_of_one_machine(cluster):
    """Every structure is answered once, as by a worker process on this machine."""
    items = [(i, fcc(("Cu", "Al")[i % 2], 3.5 + 0.05 * i)) for i in range(24)]
    chosen = potential("clusteremt")
    keys, found = [], {}
    with ClusterRelaxer(cluster.address, chosen, 0.02, 60, resources={"GPU": 1}) as relaxer:
        for key, relaxation in relaxer.relax(items):
            if not keys:
                os.killpg(cluster.workers[0].pid, signal.SIGKILL)
            keys.append(key)
            found[key] = relaxation
    with Relaxer(chosen, fmax=0.02, max_steps=60, workers=1) as here:
        expected = dict(here.relax(items))
    assert sorted(keys) == list(range(24))
    for key, relaxation in expected.items():
        assert (found[key].converged, found[key].steps) == (relaxation.converged, relaxation.steps)
        assert found[key].energy_per_atom == pytest.approx(relaxation.energy_per_atom, abs=1e-8)
        assert found[key].level == chosen.level


def test_a_structure_that_kills_workers_is_set_aside(cluster):
    """Its company succeeds, though it went down with it; what no potential may see stays here."""
    items = [(i, fcc("Cu", 3.6 + 0.01 * i)) for i in range(4)]
    items[2:2] = [("poison", fcc("Ag", 4.1)), ("unknown", fcc("Ni", 3.5))]
    with ClusterRelaxer(cluster.address, potential("clusteremt"), 0.1, 60) as relaxer:
        found = dict(relaxer.relax(items))
    assert "workers of the cluster died of it" in found.pop("poison").reason
    assert found.pop("unknown").reason == "clusteremt does not know Ni"
    assert {key: item.converged for key, item in found.items()} == dict.fromkeys(range(4), True)


def test_a_stop_abandons_what_is_in_flight(cluster):
    """No result comes after it, and the cluster takes the next order."""
    asked = iter([False] * 2)
    items = [(i, fcc("Cu", 4.2)) for i in range(8)]
    chosen = potential("clusteremt")
    with ClusterRelaxer(cluster.address, chosen, 0.1, 100_000, smax=-1.0) as relaxer:
        assert list(relaxer.relax(items, should_stop=lambda: next(asked, True))) == []
    with ClusterRelaxer(cluster.address, chosen, 0.1, 60) as relaxer:
        assert dict(relaxer.relax(items[:1]))[0].converged


def test_a_pause_while_the_scheduler_goes_away_is_a_pause(package, tmp_path):
    """The campaign failed over the words that the scheduler did not hear any more."""
    doomed, asked = Cluster(tmp_path), count()

    def stop() -> bool:
        if next(asked) < 3:
            return False
        os.killpg(doomed.scheduler.pid, signal.SIGKILL)
        return True

    items = [(i, fcc("Cu", 4.2)) for i in range(8)]
    try:
        how = (doomed.address, potential("clusteremt"), 0.1, 100_000)
        with ClusterRelaxer(*how, smax=-1.0) as relaxer:
            assert list(relaxer.relax(items, should_stop=stop)) == []
    finally:
        doomed.end()


def test_what_a_cluster_waits_for_is_said(cluster):
    """Where no worker offers what a task takes a campaign stood still without a word."""
    told, item = [], ("cu", fcc("Cu", 3.6))
    how = {"say": told.append, "resources": {"FPGA": 1}}
    with ClusterRelaxer(cluster.address, potential("clusteremt"), 0.1, 60, **how) as relaxer:
        assert list(relaxer.relax([item], should_stop=lambda: bool(told))) == []
    assert told == ["waiting for a worker of the cluster that offers FPGA=1"]
    how["resources"] = {"GPU": 1}
    with ClusterRelaxer(cluster.address, potential("clusteremt"), 0.1, 60, **how) as relaxer:
        assert dict(relaxer.relax([item]))["cu"].converged
    assert len(told) == 1


def test_the_environment_chooses_the_cluster(cluster, monkeypatch):
    """An address is enough; without one it is this machine."""
    chosen = potential("clusteremt")
    monkeypatch.delenv("HULLSCAPE_SCHEDULER", raising=False)
    assert isinstance(open_relaxer(chosen), Relaxer)
    monkeypatch.setenv("HULLSCAPE_SCHEDULER", cluster.address)
    monkeypatch.setenv("HULLSCAPE_RESOURCES", "GPU=1")
    with open_relaxer(chosen, 0.1, 60) as relaxer:
        relaxer.warm_up()
        assert isinstance(relaxer, ClusterRelaxer)
        assert [key for key, _ in relaxer.relax([("cu", fcc("Cu", 3.6))])] == ["cu"]


def test_a_scheduler_that_is_not_there_is_told_in_one_line():
    """Before anything is drawn."""
    with (
        ClusterRelaxer("tcp://127.0.0.1:9", potential("chgnet")) as relaxer,
        pytest.raises(PotentialError, match=r"no dask scheduler answers at tcp://127.0.0.1:9"),
    ):
        relaxer.warm_up()


def test_a_campaign_that_goes_on_waits_for_its_scheduler(cluster):
    """It failed when it was resumed while the scheduler was away."""
    told = []
    with ClusterRelaxer("tcp://127.0.0.1:9", potential("clusteremt"), say=told.append) as relaxer:
        relaxer.warm_up(patient=True)
        items = [("cu", fcc("Cu", 3.6))]

        def back() -> bool:
            if told:
                relaxer.address = cluster.address
            return False

        assert dict(relaxer.relax(items, should_stop=back))["cu"].converged
    assert told == ["waiting for the dask scheduler at tcp://127.0.0.1:9", ""]


def test_a_worker_with_other_weights_refuses(package):
    """Energies of two checkpoints never meet on one hull."""
    chosen = potential("clusteremt")
    other = EnergyLevel(chosen.level.potential, "0" * 12, chosen.level.correction)
    with pytest.raises(PotentialError, match=r"expected clusteremt 1\.0"):
        _engine("clusteremt", other, "batched", Limits(0.1, 0.01, 10, 60.0), False)


@pytest.mark.parametrize("text", ["GPU", "GPU=one", "=1=2"])
def test_resources_that_cannot_be_read_are_named(text):
    """With an example of what was expected."""
    assert read_resources(" GPU=1, MEMORY=8e9 ") == {"GPU": 1.0, "MEMORY": 8e9}
    with pytest.raises(ValueError, match=r"expected NAME=NUMBER, such as GPU=1, got"):
        read_resources(text)
