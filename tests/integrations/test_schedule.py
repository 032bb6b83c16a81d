"""Challengers by schedule, through the real Prefect: its tasks, its states, its server on this computer."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml

# Prefect reports uses, unless it is told not to before it is imported.
os.environ["DO_NOT_TRACK"] = "1"
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
pytest.importorskip("prefect")

from prefect.client.orchestration import get_client
from prefect.flow_engine import run_flow
from prefect.states import Cancelled, Running, State
from prefect.testing.utilities import prefect_test_harness

from curation.ledger import ImageEntry, Ledger
from integrations import challengers
from integrations.errors import ServerError
from integrations.orders import Order
from integrations.schedule import flow, serve
from integrations.succession import champion_of
from learning.errors import ConfigError, PromiseError
from tests.integrations.plant import BLIND, RULES, SHARP, Plant, config, killed_before_promoting, picture


@pytest.fixture(scope="module")
def prefect() -> Iterator[None]:
    with prefect_test_harness(server_startup_timeout=280):
        yield


@pytest.fixture
def plant(prefect: None, make: Callable[..., Plant]) -> Plant:
    return make(BLIND)


def order(plant: Plant, **more: Any) -> dict[str, Any]:
    """As a schedule keeps it: JSON."""
    files = {"rules": RULES.model_dump(mode="json"), "config": config(SHARP).model_dump(mode="json")}
    for name, content in files.items():
        (plant.root / f"{name}.yaml").write_text(yaml.safe_dump(content))
    given = {name: plant.root / f"{name}.yaml" for name in files}
    made = Order(
        data=plant.good, ledger=plant.place, home=plant.home, bundle=plant.bundle.folder, steps=1, **given | more
    )
    found: dict[str, Any] = json.loads(made.model_dump_json())
    assert Order.model_validate(found) == made
    return found


def decides(plant: Plant) -> str:
    with Ledger.open(plant.place) as ledger:
        return champion_of(ledger, folder=None if ledger.champion() else plant.bundle.folder).fingerprint


def begin(run_id: UUID) -> None:
    """As the runner does in a process of its own."""
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(run_id)
    run_flow(flow.retrain, run, parameters=run.parameters)


def test_a_run_trains_judges_and_promotes(plant: Plant) -> None:
    state: State[Any] = flow.retrain(order(plant, if_new=50), return_state=True)
    assert state.is_completed()
    found = state.result()
    assert found["promoted"]
    assert decides(plant) == found["challenger"] != plant.bundle.fingerprint
    # All that is confirmed has been judged by.
    again: State[Any] = flow.retrain(order(plant, if_new=50), return_state=True)
    assert (again.name, again.type.value) == ("NothingDue", "COMPLETED")
    assert "fewer than 50: nothing was done" in (again.message or "")


def test_what_a_person_has_to_put_right_is_said_in_one_line_and_not_tried_again(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[Order] = []

    def refuses(given: Order, **_: Any) -> None:
        tries.append(given)
        msg = "no decision: it takes 29 independent defective parts"
        raise PromiseError(msg, 29, 2)

    monkeypatch.setattr(flow, "carry_out", refuses)
    state: State[Any] = flow.retrain(order(plant), return_state=True)
    assert (state.name, state.message) == ("Refused", "no decision: it takes 29 independent defective parts")
    assert state.is_failed()
    assert len(tries) == 1


def test_what_may_pass_is_tried_again(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    real, tries = flow.carry_out, []

    def fails_once(given: Order, **more: Any) -> Any:
        tries.append(given)
        if len(tries) == 1:
            raise OSError(5, "Input/output error")
        return real(given, **more)

    monkeypatch.setattr(flow, "carry_out", fails_once)
    monkeypatch.setattr(flow, "challenge", flow.challenge.with_options(retry_delay_seconds=0))
    assert flow.retrain(order(plant))["promoted"]
    assert len(tries) == 2


def test_a_run_that_is_killed_goes_on_with_what_it_had_begun(plant: Plant) -> None:
    """Killed between judgement and promotion: nothing is new any more, and yet it promotes when it goes on."""

    with get_client(sync_client=True) as client:
        run = client.create_flow_run(flow.retrain, parameters={"order": order(plant, if_new=50)})
        with killed_before_promoting():
            begin(run.id)
        # Its hook has it go on.
        assert client.read_flow_run(run.id).state_name == "AwaitingRetry"
        assert decides(plant) == plant.bundle.fingerprint
        with Ledger.open(plant.place) as ledger:
            assert ledger.challenges()[0].wins
        # What is left where all was killed at once.
        client.set_flow_run_state(run.id, Running(), force=True)
        assert flow.recover() == 1
        assert client.read_flow_run(run.id).state_name == "AwaitingRetry"
        begin(run.id)
        after = client.read_flow_run(run.id)
    assert after.state_name == "Completed"
    assert decides(plant) != plant.bundle.fingerprint


def test_after_a_run_was_cancelled_before_it_promoted_the_next_one_does_and_trains_nothing(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As SIGTERM does to what is served: the run does not go on, and nothing is newly confirmed at the next one."""

    trainings: list[str] = []
    real = challengers.train_on_records

    def counted(*given: Any, **more: Any) -> Any:
        trainings.append(str(given[1]))
        return real(*given, **more)

    monkeypatch.setattr(challengers, "train_on_records", counted)
    ordered = order(plant, if_new=50)
    with get_client(sync_client=True) as client:
        run = client.create_flow_run(flow.retrain, parameters={"order": ordered})
        with killed_before_promoting():
            begin(run.id)
        client.set_flow_run_state(run.id, Cancelled(), force=True)
        assert flow.recover() == 0
    assert decides(plant) == plant.bundle.fingerprint
    # What was confirmed meanwhile would give another training set.
    with Ledger.open(plant.place) as ledger:
        (added,) = ledger.add_images([ImageEntry(picture(plant.root / "stream" / "late.png", 5000, 45), "late")])
        ledger.record_verdicts([plant.verdict(added, "defect")])
    state: State[Any] = flow.retrain(ordered, return_state=True)
    assert state.is_completed()
    assert state.result()["promoted"]
    assert len(trainings) == 1
    assert decides(plant) == state.result()["challenger"]
    assert flow.retrain(ordered, return_state=True).name == "NothingDue"


def test_a_run_that_is_killed_over_and_over_is_left_alone(plant: Plant) -> None:
    with get_client(sync_client=True) as client:
        run = client.create_flow_run(flow.retrain, parameters={"order": order(plant)})
        assert flow.go_on(run.model_copy(update={"run_count": flow.RUNS - 1}))
        client.set_flow_run_state(run.id, Running(), force=True)
        assert not flow.go_on(run.model_copy(update={"run_count": flow.RUNS}))
        assert client.read_flow_run(run.id).state_name == "Running"
        client.delete_flow_run(run.id)


def test_settings_report_to_nobody_and_stay_on_this_computer(tmp_path: Path) -> None:
    found = serve.settings(tmp_path, 4711)
    assert found["DO_NOT_TRACK"] == "1"
    assert found["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert found["PREFECT_API_URL"] == "http://127.0.0.1:4711/api"
    assert found["PREFECT_API_AUTH_STRING"] == found["PREFECT_SERVER_API_AUTH_STRING"]
    assert found["PREFECT_API_AUTH_STRING"] != serve.settings(tmp_path, 4711)["PREFECT_API_AUTH_STRING"]


@pytest.mark.parametrize(
    ("cron", "every", "said"),
    [
        (None, None, "either --cron"),
        ("0 2 * * *", 5.0, "either --cron"),
        ("every night", None, "'every night' is no cron"),
    ],
)
def test_schedules_that_are_none(cron: str | None, every: float | None, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        serve.schedule_of(cron, every)


def test_without_prefect_one_line_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "find_spec", lambda name: None)
    with pytest.raises(ServerError, match="Prefect is not installed"):
        serve.use_settings(tmp_path / "prefect")
    assert not (tmp_path / "prefect").exists()
