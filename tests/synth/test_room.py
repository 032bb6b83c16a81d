import time
from concurrent.futures import ThreadPoolExecutor

from synth.room import Room


def test_threads_hold_no_more_together_than_there_is() -> None:
    room, held, most = Room(10), [], []

    def work(size: int) -> None:
        with room.taken(size):
            held.append(size)
            most.append(sum(held))
            time.sleep(0.002)
            held.remove(size)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, [4, 3, 5, 2, 6] * 8))
    assert max(most) <= 10
    assert max(most) > 6


def test_what_fits_nowhere_goes_in_alone() -> None:
    room = Room(10)
    with room.taken(50):
        pass
    with room.taken(10):
        pass
