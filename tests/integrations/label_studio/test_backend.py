"""The backend without a Label Studio: what it answers, what it shows to whom, and what it sets off."""

import logging
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from curation.ledger import AskEntry, ImageEntry, Ledger, VerdictEntry
from integrations.errors import ServerError
from integrations.label_studio.backend import EnoughNew, Errands, Predictor, Retraining, make_app, origins_of
from integrations.label_studio.gallery import LIFETIME, SignedPictures
from integrations.label_studio.masks import decoded
from integrations.label_studio.page import IMAGE, OVERLAY
from integrations.label_studio.signing import Signer, key_file, read_key
from integrations.recording import record_model
from integrations.serving import serving
from learning.bundle import Bundle
from learning.config import TrainConfig
from learning.detectors import DETECTORS, Budget
from learning.training import train_bundle
from tests.integrations.cli.running import mistake

from .conftest import MODEL, SIZE, add_asks, ledger_url

LABEL_STUDIO = "http://127.0.0.1:8090"


class Woken:
    """Errands that only remember what they were told."""

    def __init__(self) -> None:
        self.told: list[bool] = []

    def wake(self, *, train: bool = False) -> None:
        self.told.append(train)


class Backend:
    """A server on a ledger with some asks, and how it is called."""

    def __init__(self, folder: Path, ledger: Ledger, asks: int = 3) -> None:
        self.ledger = ledger
        self.asks = add_asks(ledger, folder, asks)
        self.pictures = SignedPictures.of(ledger.place, folder, "http://testserver")
        self.inspectors = 1
        self.errands = Woken()
        app = make_app(
            Predictor(ledger),
            self.errands,  # type: ignore[arg-type]
            self.pictures,
            ledger,
            lambda: self.inspectors,
            origins_of(LABEL_STUDIO),
            ["testserver"],
        )
        self.http = TestClient(app)

    def predict(self, *ask_ids: str) -> list[dict[str, Any]]:
        tasks = [{"id": number, "data": {"external_id": ask}} for number, ask in enumerate(ask_ids)]
        answer = self.http.post("/predict", json={"tasks": tasks, "project": "1.2", "params": {}})
        assert answer.status_code == 200, answer.text
        results: list[dict[str, Any]] = answer.json()["results"]
        return results

    def show(self, number: int = 0, name: str = IMAGE) -> str:
        """Send an ask with one of its pictures; the address."""
        ask = self.asks[number]
        self.ledger.mark_pushed([(ask, 1, number + 1)])
        picture = self.pictures.folder / "shown.png"
        Image.new("L", (4, 4), 10 + number).save(picture)
        return self.pictures.address(ask, name, picture)

    def answer(self, ask: str, inspector: str) -> None:
        image = next(one.image_id for one in self.ledger.asks() if one.ask_id == ask)
        entry = VerdictEntry(ask, image, inspector, "good", "2026-01-01T00:00:00+00:00", "test", inspector, "1")  # type: ignore[arg-type]
        self.ledger.record_verdicts([entry])


@pytest.fixture
def backend(tmp_path: Path, make_ledger: Callable[[], Ledger]) -> Backend:
    return Backend(tmp_path, make_ledger())


def test_it_says_that_it_is_up_and_which_model_decides(backend: Backend) -> None:
    assert backend.http.get("/health").json()["status"] == "UP"
    told = {"project": "1.2", "schema": "<View/>", "access_token": "secret", "hostname": LABEL_STUDIO}
    assert backend.http.post("/setup", json=told).json() == {"model_version": f"map {MODEL[:12]}"}


def test_what_the_ledger_has_is_predicted_without_the_model(backend: Backend) -> None:
    [first, second] = backend.predict(backend.asks[2], backend.asks[0])
    assert first["model_version"] == f"map {MODEL[:12]}"
    assert first["score"] == second["score"] == 0.5
    [region] = first["result"]
    assert region["from_name"] == "region"
    assert decoded(region)[10:16, 20:31].all()
    assert decoded(region).sum() == 66
    assert {one["from_name"] for result in (first, second) for one in result["result"]} == {"region"}


def test_unknown_tasks_get_nothing_and_a_line_in_the_log(backend: Backend, caplog: pytest.LogCaptureFixture) -> None:
    [known, unknown] = backend.predict(backend.asks[0], "0" * 32)
    assert known["result"]
    assert (unknown["result"], "score" in unknown) == ([], False)
    assert backend.http.post("/predict", json={"tasks": [{"id": 7, "data": {}}]}).json()["results"][0]["result"] == []
    assert [record.getMessage() for record in caplog.records] == [
        f"task {number} shows no question of this ledger: no prediction" for number in (1, 7)
    ]


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    monkeypatch.setitem(DETECTORS, "stub", "tests.stub:StubDetector")
    good = tmp_path / "good"
    good.mkdir()
    for number in range(20):
        noise = np.random.default_rng(number).normal(120, 5, SIZE)
        Image.fromarray(noise.clip(0, 255).astype(np.uint8)).save(good / f"{number}.png")
    config = TrainConfig(detector="stub", view="whole")
    return train_bundle(good, tmp_path / "trained", config=config, budget=Budget(steps=1))


def test_what_the_champion_has_not_scored_is_scored_and_not_written_down(
    backend: Backend, trained: Bundle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    record_model(backend.ledger, trained)
    backend.ledger.crown(trained.fingerprint, None, "appointed", "test", "")
    spot = np.full(SIZE, 120, np.uint8)
    spot[8:16, 40:52] = 250
    Image.fromarray(spot).save(tmp_path / "spot.png")
    [image] = backend.ledger.add_images([ImageEntry(tmp_path / "spot.png", "spot")])
    [ask] = backend.ledger.create_asks([AskEntry(image, "borderline", 0.5, "default", MODEL, 1)])
    (tmp_path / "part1.png").unlink()
    before = len(backend.ledger.scores(latest=False))

    [spotted, plain, gone] = backend.predict(ask, backend.asks[0], backend.asks[1])
    assert spotted["model_version"] == f"map {trained.fingerprint[:12]}"
    assert spotted["score"] > plain["score"]
    found = np.logical_or.reduce([decoded(one) for one in spotted["result"]])
    assert found[9:15, 42:50].all()
    assert gone["result"] == []
    assert "part1.png" in caplog.text
    assert len(backend.ledger.scores(latest=False)) == before


def test_a_damaged_model_is_one_line(backend: Backend, trained: Bundle) -> None:
    record_model(backend.ledger, trained)
    backend.ledger.crown(trained.fingerprint, None, "appointed", "test", "")
    (trained.folder / "bundle.json").unlink()
    tasks = [{"id": 1, "data": {"external_id": backend.asks[0]}}]
    answer = backend.http.post("/predict", json={"tasks": tasks})
    assert answer.status_code == 503
    assert "bundle.json" in answer.json()["detail"]


def test_no_model_is_said(tmp_path: Path) -> None:
    with Ledger.open(ledger_url(tmp_path)) as ledger, pytest.raises(Exception, match="no model decides yet"):
        Predictor(ledger).version()


def test_events_wake_and_nothing_else_does(backend: Backend) -> None:
    for action in ("ANNOTATION_CREATED", "ANNOTATIONS_DELETED", "TASKS_CREATED", "PROJECT_UPDATED", "START_TRAINING"):
        assert backend.http.post("/webhook", json={"action": action, "project": {"id": 1}}).status_code == 200
    assert backend.errands.told == [False, False, True]


def test_no_page_of_another_site_can_call_it(backend: Backend) -> None:
    # What browsers send across sites without asking first.
    body = '{"action": "START_TRAINING"}'
    assert backend.http.post("/webhook", content=body, headers={"Content-Type": "text/plain"}).status_code == 422
    # And under a name that somebody else made point here.
    other = backend.http.post("/webhook", json={"action": "START_TRAINING"}, headers={"Host": "evil.example"})
    assert other.status_code == 400
    assert backend.errands.told == []


def test_a_signed_address_shows_that_picture_while_the_ask_is_open(backend: Backend) -> None:
    address = backend.show()
    answer = backend.http.get(address, headers={"Origin": LABEL_STUDIO})
    assert answer.status_code == 200
    assert answer.content == (backend.pictures.folder / "shown.png").read_bytes()
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["Access-Control-Allow-Origin"] == LABEL_STUDIO
    assert "no-store" in answer.headers["Cache-Control"]
    other = backend.http.get(address, headers={"Origin": "http://evil.example"})
    assert "Access-Control-Allow-Origin" not in other.headers

    backend.answer(backend.asks[0], "ann")
    assert backend.http.get(address).status_code == 410


def test_it_stays_open_until_all_inspectors_of_the_task_have_answered(backend: Backend) -> None:
    address = backend.show()
    backend.inspectors = 2
    backend.answer(backend.asks[0], "ann")
    assert backend.http.get(address).status_code == 200
    backend.answer(backend.asks[0], "ben")
    assert backend.http.get(address).status_code == 410


def test_a_withdrawn_ask_shows_nothing(backend: Backend) -> None:
    address = backend.show()
    backend.ledger.withdraw_asks([backend.asks[0]])
    assert backend.http.get(address).status_code == 410


def test_an_address_expires(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    address = backend.show()
    now = time.time()
    monkeypatch.setattr("integrations.label_studio.backend.app.time.time", lambda: now + LIFETIME - 60)
    assert backend.http.get(address).status_code == 200
    monkeypatch.setattr("integrations.label_studio.backend.app.time.time", lambda: now + LIFETIME + 60)
    assert backend.http.get(address).status_code == 410


@pytest.mark.parametrize(
    "forge",
    [
        lambda address, other: address[:-1] + ("0" if address[-1] != "0" else "1"),
        lambda address, other: address.replace("expires=", "expires=9"),
        lambda address, other: address.replace("/image?", "/overlay?"),
        lambda address, other: address.replace(address.split("/")[4], other),
        lambda address, other: address.replace("/image?", "/image.png?"),
        lambda address, other: address.replace("/pictures/", "/pictures/..%2F"),
        lambda address, other: address.replace("/image?", "/..%2f..%2fledger.sqlite?"),
        lambda address, other: address[: address.index("&signature")] + "&signature=%C3%A4",
    ],
)
def test_a_forged_address_shows_nothing(backend: Backend, forge: Callable[[str, str], str]) -> None:
    address = backend.show()
    backend.show(1)
    backend.show(0, OVERLAY)
    assert backend.http.get(forge(address, backend.asks[1])).status_code == 404
    assert backend.http.get(address.split("?")[0]).status_code == 422
    assert backend.http.get(address).status_code == 200


def test_a_signature_of_what_is_no_ask_opens_no_file(backend: Backend, tmp_path: Path) -> None:
    expires = int(time.time()) + 60
    for ask_id, name in (("..", "ledger.sqlite"), (backend.asks[0], "*"), ("*", IMAGE)):
        signature = backend.pictures.signer.sign(ask_id, name, expires)
        answer = backend.http.get(f"/pictures/{ask_id}/{name}", params={"expires": expires, "signature": signature})
        assert answer.status_code in {404, 410}


def test_the_key_is_the_owners_alone_and_beside_the_ledger(backend: Backend, tmp_path: Path) -> None:
    path = key_file(backend.ledger.place, tmp_path / "home")
    assert path == tmp_path / "ledger.sqlite.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert key_file("postgresql+psycopg://plant@db/ledger", tmp_path / "home") == tmp_path / "home" / "signing.key"
    assert stat.S_IMODE(backend.pictures.folder.stat().st_mode) == 0o700
    path.chmod(0o640)
    with pytest.raises(ServerError, match="can be read by others"):
        read_key(path)
    path.chmod(0o600)
    path.write_bytes(b"short")
    with pytest.raises(ServerError, match="damaged"):
        read_key(path)


def test_two_that_make_a_key_at_once_have_the_same(tmp_path: Path) -> None:
    keys: list[bytes] = []
    start = threading.Barrier(8)

    def make() -> None:
        start.wait()
        keys.append(read_key(tmp_path / "plant.db.key"))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8
    assert len(set(keys)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["plant.db.key"]


def test_an_address_is_renewed_in_the_second_half_of_its_time(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = backend.show()
    assert backend.pictures.holds(address)
    elsewhere = SignedPictures(backend.pictures.folder, backend.pictures.signer, "http://plant:8091")
    other_key = SignedPictures(backend.pictures.folder, Signer(b"other"), backend.pictures.base)
    assert not elsewhere.holds(address)
    assert not other_key.holds(address)
    assert not backend.pictures.holds("/data/local-files/?d=asks/a.png")
    assert not backend.pictures.holds(address.split("?")[0])
    now = time.time()
    monkeypatch.setattr("integrations.label_studio.gallery.time.time", lambda: now + 0.6 * LIFETIME)
    assert not backend.pictures.holds(address)


def test_a_base_that_is_no_address_is_refused(tmp_path: Path, make_ledger: Callable[[], Ledger]) -> None:
    with pytest.raises(ServerError, match="is not the address of a server"):
        SignedPictures.of(make_ledger().place, tmp_path, "127.0.0.1:8091")


class Counted:
    """Errands that count, and fail as often as they are told."""

    def __init__(self, due: bool = False, failures: int = 0) -> None:
        self.fetched = self.trained = 0
        self.failures = failures
        self.errands = Errands(self.fetch, lambda: due, self.train, quiet=0.1, longest=0.4)

    def fetch(self) -> None:
        self.fetched += 1
        if self.fetched <= self.failures:
            msg = "Label Studio does not answer"
            raise ServerError(msg)

    def train(self) -> bool:
        self.trained += 1
        return True


def _until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_many_events_are_one_fetch() -> None:
    counted = Counted()
    with counted.errands:
        _until(lambda: counted.fetched == 1)  # what was missed while it was closed
        for _ in range(5):
            counted.errands.wake()
        _until(lambda: counted.fetched == 2)
        time.sleep(0.3)
    assert (counted.fetched, counted.trained) == (2, 0)


def test_answers_are_fetched_although_it_is_never_quiet() -> None:
    counted = Counted()
    with counted.errands:
        _until(lambda: counted.fetched == 1)
        until = time.monotonic() + 2
        while counted.fetched < 2:
            assert time.monotonic() < until
            counted.errands.wake()
            time.sleep(0.02)


def test_a_training_starts_after_the_answers_were_fetched_when_it_is_asked_for_or_due() -> None:
    asked = Counted()
    with asked.errands:
        _until(lambda: asked.fetched == 1)
        asked.errands.wake(train=True)
        asked.errands.wake()
        _until(lambda: asked.trained == 1)
    assert asked.fetched == 2
    due = Counted(due=True)
    with due.errands:
        _until(lambda: due.trained == 1)


def test_a_fetch_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("integrations.label_studio.backend.errands._AGAIN", 0.2)
    counted = Counted(failures=1)
    with counted.errands:
        counted.errands.wake(train=True)
        _until(lambda: counted.trained == 1)
    assert counted.fetched == 2
    assert "Label Studio does not answer" in caplog.text


@pytest.fixture
def sleeper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Retraining]:
    retraining = Retraining(["good", "--ledger", "plant.db"], tmp_path / "home" / "retraining.log")
    assert retraining.command[-5:] == ["retrain", "challenger", "good", "--ledger", "plant.db"]
    retraining.command = [sys.executable, "-c", "import time; print('begun', flush=True); time.sleep(60)"]
    yield retraining
    retraining.stop()


def test_two_trainings_never_run_at_once(sleeper: Retraining) -> None:
    started = [sleeper.start() for _ in range(3)]
    assert started == [True, False, False]
    assert sleeper.running
    _until(lambda: sleeper.log.read_text() == "begun\n")
    sleeper.stop()
    assert not sleeper.running
    assert sleeper.start()


def test_of_many_that_ask_at_once_one_starts_a_training(sleeper: Retraining) -> None:
    started: list[bool] = []
    threads = [threading.Thread(target=lambda: started.append(sleeper.start())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(started) == [False] * 7 + [True]


def test_the_same_answers_start_one_training() -> None:
    new = 9
    enough = EnoughNew(lambda: new, 10)
    assert not enough()
    new = 12
    assert enough()
    assert not enough()  # it may have been refused for want of data
    new = 22
    assert enough()
    new = 3  # a challenger was judged
    assert not enough()
    new = 13
    assert enough()


def test_what_cannot_be_served_is_one_line(backend: Backend) -> None:
    where = ("review", "backend", "--ledger", backend.ledger.place)
    assert "say on which good parts, with --data" in mistake(*where, "--if-verdicts", 5)
    assert "say with --url how they reach it" in mistake(*where, "--host", "0.0.0.0")
    assert "no such file or folder" in mistake(*where, "--data", "nowhere")


def test_it_listens_here_and_writes_no_addresses_down(
    backend: Backend, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    import httpx

    caplog.set_level(logging.DEBUG, logger="uvicorn")
    backend.show()
    app = backend.http.app
    with serving(app, port=0) as url:  # type: ignore[arg-type]
        assert url.startswith("http://127.0.0.1:")
        port = int(url.rpartition(":")[2])
        assert _listening_on(port) == {"0100007F"}
        answer = httpx.get(f"{url}/pictures/a/image?expires=1&signature=abc", headers={"Host": "testserver"})
        assert answer.status_code == 404
        with pytest.raises(ServerError, match="cannot listen"), serving(app, port=port):  # type: ignore[arg-type]
            pass
    assert _listening_on(port) == set()
    said = capfd.readouterr()
    assert "signature" not in caplog.text + said.out + said.err


def _listening_on(port: int) -> set[str]:
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    places = [row[1].split(":") for row in rows if row[3] == "0A"]
    return {host for host, number in places if int(number, 16) == port}
