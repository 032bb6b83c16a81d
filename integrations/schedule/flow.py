"""``flawsmith retrain`` as a Prefect flow: is a challenger due, and if so train, judge and promote it."""

import os
import signal
import threading
import time
from datetime import UTC, datetime
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.flows import Flow
from prefect.states import AwaitingRetry, Completed, Failed

from integrations.orders import Order, carry_out
from integrations.orders import is_due as look
from integrations.schedule.serve import SERVED_BY
from learning.errors import UserError

RUNS = 4
"""How often a run begins, at most: once, and again after each kill."""
_RETRIES, _PAUSE = 2, 60.0
_LOOK = 1.0


def _may_pass(_task: Any, _run: Any, state: "State[Any]") -> bool:
    """Whether what went wrong may pass: a disk, a database. What a person has to put right does not."""
    found = state.result(raise_on_failure=False)
    return not isinstance(found, UserError)


_TRIED: dict[str, Any] = {
    "retries": _RETRIES,
    "retry_delay_seconds": _PAUSE,
    "retry_condition_fn": _may_pass,
}


# Its result is kept: a run that goes on after a kill does what it had begun, even if nothing is new any more by then.
@task(name="is one due", persist_result=True, **_TRIED)
def is_due(order: dict[str, Any]) -> tuple[bool, str]:
    """Whether a challenger is due, and why."""
    found = look(Order.model_validate(order))
    return found.due, found.text


@task(name="challenge", **_TRIED)
def challenge(order: dict[str, Any]) -> dict[str, Any]:
    """Train and judge a challenger, which decides if it wins; what is there already is not made again."""
    outcome = carry_out(Order.model_validate(order), tell=get_run_logger().info)
    return outcome.report() | {"promoted": outcome.promoted, "text": outcome.row.text}


def _again(flow: Flow[..., Any], flow_run: FlowRun, state: "State[Any]") -> None:
    """After a kill the same run goes on."""
    go_on(flow_run)


@flow(name="retrain", on_crashed=[_again], log_prints=False)
def retrain(order: dict[str, Any]) -> Any:
    """Carry out an order, if it is due.

    Args:
        order: Of ``integrations.orders.Order``, as JSON.

    Returns:
        What became of the challenger; a state that says why there is none.
    """
    _end_with(os.environ.get(SERVED_BY))
    try:
        if Order.model_validate(order).conditional:
            due, why = is_due(order)
            if not due:
                return Completed(message=f"{why}: nothing was done", name="NothingDue")
        return challenge(order)
    except UserError as error:
        # A person can put it right, and needs no traceback for it.
        return Failed(message=str(error), name="Refused")


def go_on(run: FlowRun) -> bool:
    """Have a run begin again that was killed; what its tasks had finished is kept.

    Returns:
        Whether it does: after so many beginnings it is left alone, as what kills it seems to be the run itself.
    """
    if run.run_count >= RUNS:
        return False
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run.id, AwaitingRetry(), force=True)
    return True


def recover() -> int:
    """After a start: have runs go on that ended with the last scheduler, and forget those that it missed.

    Returns:
        How many go on.
    """
    with get_client(sync_client=True) as client:
        cut = client.read_flow_runs(flow_run_filter=_in(StateType.RUNNING, StateType.PENDING, StateType.CANCELLING))
        missed = _in(StateType.SCHEDULED)
        missed.expected_start_time = FlowRunFilterExpectedStartTime.model_validate({"before_": datetime.now(UTC)})
        for run in client.read_flow_runs(flow_run_filter=missed):
            # Of a run that has begun before, what is scheduled is its going on.
            if not run.run_count:
                client.delete_flow_run(run.id)
    return sum(go_on(run) for run in cut)


def _in(*types: StateType) -> FlowRunFilter:
    return FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(types))))


def _end_with(scheduler: str | None) -> None:
    """End this process when the scheduler is gone that started it, however that came to be, or when that cancels it.

    A terminal sends Ctrl-C to both; here it is left to the scheduler, which cancels the run once.
    """
    if scheduler is None or os.getpid() == int(scheduler):
        return
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == int(scheduler):
            time.sleep(_LOOK)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True, name="scheduler").start()
