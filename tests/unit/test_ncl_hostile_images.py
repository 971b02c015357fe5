"""Whatever a file is, it becomes a canvas or a code, within its memory and its deadline, and nothing dies of it."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.hostile_images import hostile_images, large_transparent, repeated_scan
from support.memory_watch import MemoryWatch
from support.odd_images import encoded, photo
from support.photo_bytes import FIT

from ncl_model.architecture.config import NclConfig
from ncl_model.errors import ImageUnreadable
from ncl_model.imaging import guarded_decoding
from ncl_model.imaging.decoder_process import DecoderProcess
from ncl_model.imaging.decoding import decode_image
from ncl_model.imaging.guarded_decoding import DecodingLimits, GuardedDecoder
from ncl_model.imaging.header import read_header
from ncl_model.imaging.memory_budget import BudgetExceeded, MemoryBudget, machine_memory

#: seconds of computing for an image, and by the clock on a machine that does other things besides
DEADLINE_S, LONGEST_S = 3.0, 20.0
BUDGET = 1_000_000_000


@pytest.fixture
def decoder() -> Iterator[GuardedDecoder]:
    made = GuardedDecoder(DecodingLimits(memory_bytes=BUDGET, deadline_s=DEADLINE_S))
    yield made
    made.close()


def ending(decoder: GuardedDecoder, data: bytes) -> str:
    try:
        image = decoder.decode(data, config=FIT)
    except ImageUnreadable as error:
        return error.code
    assert image.pixels.shape[0] >= image.valid_height > 0
    return "scored"


def test_bombs_and_polyglots_end_in_time_and_within_the_budget(decoder: GuardedDecoder) -> None:
    ended: dict[str, str] = {}
    wrong: list[str] = []
    watch = MemoryWatch()
    for name, data, permitted in hostile_images():
        watch.begin()
        begin = time.monotonic()
        ended[name] = ending(decoder, data)
        taken = time.monotonic() - begin
        # a decoder's own program is some 40 MB, twice
        if (peak := watch.peak()) > BUDGET + 100_000_000:
            wrong.append(f"{name}: {peak / 1e6:.0f} MB")
        if taken > LONGEST_S or ended[name] not in permitted:
            wrong.append(f"{name}: {ended[name]} after {taken:.1f} s")
    watch.close()
    assert not wrong
    assert len(ended) >= 40
    assert ending(decoder, encoded(photo(), "JPEG")) == "scored", "and all goes on"


def test_the_scan_that_comes_3000_times_costs_one_image_and_holds_up_no_other(decoder: GuardedDecoder) -> None:
    with ThreadPoolExecutor(4) as pool:
        bomb = pool.submit(ending, decoder, repeated_scan())
        good = list(pool.map(lambda n: ending(decoder, encoded(photo(seed=n), "TIFF")), range(20)))
        assert not bomb.done(), "they did not wait for it"
    assert good == ["scored"] * 20
    assert bomb.result() == "too_large"


def test_the_message_of_a_bomb_says_what_it_exceeded(decoder: GuardedDecoder) -> None:
    with pytest.raises(ImageUnreadable, match="not decoded within 3 seconds of computing"):
        decoder.decode(repeated_scan(), config=FIT)
    small = GuardedDecoder(DecodingLimits(memory_bytes=100_000_000))
    with pytest.raises(ImageUnreadable, match=r"may take 6\d\d MB of memory; all decoding may take 100 MB") as caught:
        small.decode(large_transparent(), config=FIT)
    assert caught.value.code == "too_large"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF"])
def test_guarded_decoding_gives_the_same_canvas(kind: str, decoder: GuardedDecoder) -> None:
    data = encoded(photo(300, 200, seed=4), kind)
    guarded, plain = decoder.decode(data, config=FIT), decode_image(data, config=FIT)
    np.testing.assert_array_equal(guarded.pixels, plain.pixels)
    assert replace(guarded, pixels=plain.pixels).__dict__ == plain.__dict__


BLOCKS = NclConfig(
    architecture="experts",
    compression="dct",
    head="pooled",
    grid="estimated",
    geometry="fit",
    input_size=1024,
    native_blocks=2,
)


def test_blocks_at_native_size_come_along_and_have_their_memory(decoder: GuardedDecoder) -> None:
    picture = photo(40, 30, seed=5).resize((4000, 3000)).convert("RGBA")
    data = encoded(picture, "TIFF", compression="tiff_adobe_deflate")
    guarded, plain = decoder.decode(data, config=BLOCKS), decode_image(data, config=BLOCKS)
    assert guarded.blocks is not None
    assert plain.blocks is not None
    np.testing.assert_array_equal(guarded.blocks.luma, plain.blocks.luma)
    assert guarded.blocks.strength == pytest.approx(plain.blocks.strength)
    np.testing.assert_array_equal(guarded.pixels, plain.pixels)


def test_a_decoder_that_crashes_costs_one_image(monkeypatch: pytest.MonkeyPatch, decoder: GuardedDecoder) -> None:
    data = encoded(photo(), "TIFF")
    assert ending(decoder, data) == "scored"
    process = decoder._idle.queue[0]
    send = process._send

    def crash(*args: bytes) -> None:
        os.kill(process.pid, signal.SIGSEGV)
        send(*args)

    monkeypatch.setattr(process, "_send", crash)
    with pytest.raises(ImageUnreadable, match="the decoder crashed on it") as caught:
        decoder.decode(data, config=FIT)
    assert caught.value.code == "corrupt"
    assert ending(decoder, data) == "scored"


def test_a_decoder_that_hangs_is_ended_by_the_clock() -> None:
    process = DecoderProcess()
    os.kill(process.pid, signal.SIGSTOP)
    with pytest.raises(ImageUnreadable, match=r"within 0\.2 seconds") as caught:
        process.decode(encoded(photo(), "TIFF"), config=FIT, max_pixels=10**8, memory_bytes=10**8, deadline_s=0.2)
    assert caught.value.code == "too_large"
    assert not process.alive


def test_decoders_know_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
    process = DecoderProcess()
    with open(f"/proc/{process.pid}/environ", "rb") as file:
        assert b"hidden" not in file.read()
    process.close()


# --- headers ---

VARIANTS: dict[str, Callable[[], bytes]] = {
    "JPEG": lambda: encoded(photo(640, 400), "JPEG"),
    "JPEG, progressive": lambda: encoded(photo(640, 400), "JPEG", progressive=True),
    "JPEG, cmyk": lambda: encoded(photo(640, 400).convert("CMYK"), "JPEG"),
    "PNG": lambda: encoded(photo(640, 400), "PNG"),
    "WEBP": lambda: encoded(photo(640, 400), "WEBP"),
    "WEBP, lossless": lambda: encoded(photo(640, 400), "WEBP", lossless=True),
    "WEBP, alpha": lambda: encoded(photo(640, 400).convert("RGBA"), "WEBP", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0"),
    "GIF": lambda: encoded(photo(640, 400).quantize(16), "GIF"),
    "TIFF": lambda: encoded(photo(640, 400), "TIFF"),
    "TIFF, big": lambda: encoded(photo(640, 400), "TIFF", big_tiff=True),
    "BMP": lambda: encoded(photo(640, 400), "BMP"),
    "AVIF": lambda: encoded(photo(640, 400), "AVIF"),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_headers_are_read_without_a_decoder(name: str) -> None:
    header = read_header(VARIANTS[name]())
    assert header is not None
    assert (header.width, header.height) == (640, 400)
    assert header.ordinary == name.startswith(("JPEG", "PNG", "WEBP"))
    assert header.bytes_per_pixel >= 5


@pytest.mark.parametrize("name", VARIANTS)
def test_headers_that_are_cut_off_or_changed_raise_nothing(name: str) -> None:
    data = VARIANTS[name]()
    random = np.random.default_rng(0)
    for length in range(80):
        read_header(data[:length])
    for _ in range(300):
        changed = bytearray(data)
        for at in random.integers(0, min(400, len(data)), 4):
            changed[at] = random.integers(256)
        read_header(bytes(changed))


# --- the budget ---


def test_the_budget_is_shared_in_the_order_of_asking() -> None:
    budget, order = MemoryBudget(100), []
    inside, leave = threading.Event(), threading.Event()

    def hold(name: str, size: int) -> None:
        with budget.reserve(size):
            order.append(name)
            inside.set()
            leave.wait()

    threads = []
    for name, size in [("first", 60), ("large", 90), ("small", 30)]:
        threads.append(threading.Thread(target=hold, args=(name, size)))
        threads[-1].start()
        while len(budget._queue) < len(threads) - 1:
            inside.wait()
    assert order == ["first"], "the small one does not overtake"
    leave.set()
    for thread in threads:
        thread.join()
    assert order == ["first", "large", "small"]


def test_what_never_fits_is_refused_at_once() -> None:
    with pytest.raises(BudgetExceeded), MemoryBudget(100).reserve(101):
        pass


def test_images_wait_for_each_other_where_memory_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    most = at_once = 0
    lock = threading.Lock()

    def watched(data: bytes, **options: object) -> object:
        nonlocal most, at_once
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.05)
        with lock:
            at_once -= 1
        return None

    monkeypatch.setattr(guarded_decoding, "decode_image", watched)
    data = encoded(photo(400, 300), "JPEG")
    header = read_header(data)
    assert header is not None
    need = header.decode_bytes(len(data))
    decoder = GuardedDecoder(DecodingLimits(memory_bytes=2 * need))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: decoder.decode(data, config=FIT), range(16)))
    assert most == 2


def test_the_default_budget_is_a_quarter_of_the_machine_shared_by_its_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded_decoding, "machine_memory", lambda: 8_000)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert DecodingLimits().budget() == 2_000
    assert DecodingLimits(workers=100, worker_cpus=2.0).budget() == 500, "no more than four have CPUs here"
    assert DecodingLimits(memory_bytes=7, workers=100).budget() == 7


def test_the_limit_of_a_container_counts(tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text("1000\n")
    assert machine_memory((limit,)) == 1000
    limit.write_text("max\n")
    assert machine_memory((limit, limit.with_name("missing"))) > 1_000_000
