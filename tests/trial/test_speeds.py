"""The speeds of a device: measured once, kept, and used where nothing was timed."""

import json

import pytest

from convlift.cost.seconds import USUAL_CORE
from convlift.records.compute_device import CPU, Device
from convlift.trial.speeds import Probe, speeds_of
from stand_in import STAND_IN, StandIn

PROBES = Probe(8, 8, 4), Probe(8, 16, 16)


def test_of_a_cpu_nothing_is_measured(tmp_path):
    assert speeds_of(CPU, tmp_path) is USUAL_CORE
    assert not list(tmp_path.iterdir())


def test_a_device_is_measured_once_and_every_model_for_itself(tmp_path):
    with StandIn():
        first = speeds_of(STAND_IN, tmp_path, *PROBES)
    (kept,) = tmp_path.glob("speeds/*.json")
    assert all(value > 0 for value in json.loads(kept.read_text()).values())
    assert speeds_of(STAND_IN, tmp_path, *PROBES) == first  # outside of the stand-in nothing could be measured
    other = Device("meta", 0, "another make")
    with pytest.raises(RuntimeError, match="meta"):
        speeds_of(other, tmp_path, *PROBES)
    kept.write_text('{"single": -1}')
    with StandIn():
        assert speeds_of(STAND_IN, tmp_path, *PROBES).dense > 0


def test_a_cache_that_cannot_be_written_costs_the_measurement_alone(tmp_path):
    (tmp_path / "speeds").write_text("a file in its place")
    with StandIn():
        assert speeds_of(STAND_IN, tmp_path, *PROBES).step > 0
