"""Signals during a run: raised where nothing is torn, and nowhere else."""

# ruff: noqa: PT012 - what raises is a context, which needs something to happen in it

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from nemo_curator.engine.signals import Interrupts

KINDS = [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]


@pytest.mark.parametrize(("number", "kind"), KINDS)
def test_it_raises_at_once_where_it_may(number: signal.Signals, kind: type[BaseException]) -> None:
    with pytest.raises(kind), Interrupts() as interrupts, interrupts.allowed():
        signal.raise_signal(number)


@pytest.mark.parametrize(("number", "kind"), KINDS)
def test_it_waits_where_it_must(number: signal.Signals, kind: type[BaseException]) -> None:
    reached = []
    with pytest.raises(kind), Interrupts() as interrupts:
        signal.raise_signal(number)
        reached.append("after the signal")
        with interrupts.allowed():
            reached.append("never")
    assert reached == ["after the signal"]


def test_it_is_not_lost_when_nobody_lets_it_through() -> None:
    with pytest.raises(KeyboardInterrupt), Interrupts():
        signal.raise_signal(signal.SIGINT)


def test_another_error_on_its_way_comes_first() -> None:
    with pytest.raises(ValueError, match="first"), Interrupts():
        signal.raise_signal(signal.SIGINT)
        message = "first"
        raise ValueError(message)


def test_cleaning_up_is_left_alone_until_the_third_time() -> None:
    steps = []
    with pytest.raises(KeyboardInterrupt), Interrupts() as interrupts:
        try:
            with interrupts.allowed():
                signal.raise_signal(signal.SIGINT)
        finally:
            signal.raise_signal(signal.SIGINT)
            with interrupts.allowed():
                steps.append("cleaned up")
            signal.raise_signal(signal.SIGINT)
            steps.append("never")
    assert steps == ["cleaned up"]


def test_allowed_nests() -> None:
    with pytest.raises(KeyboardInterrupt), Interrupts() as interrupts, interrupts.allowed():
        with interrupts.allowed():
            pass
        signal.raise_signal(signal.SIGINT)


def test_handlers_are_put_back_and_the_users_are_left_alone() -> None:
    asked: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    own = signal.getsignal(signal.SIGTERM)
    try:
        with Interrupts() as interrupts, interrupts.allowed():
            assert signal.getsignal(signal.SIGTERM) is own
            assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
            signal.raise_signal(signal.SIGTERM)
        assert asked == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_whoever_is_outside_has_the_handlers_back() -> None:
    with Interrupts() as interrupts:
        with interrupts.outside():
            assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler


def test_a_thread_touches_no_handler() -> None:
    seen = []

    def work() -> None:
        with Interrupts() as interrupts, interrupts.allowed():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]


@pytest.mark.parametrize(("name", "codes"), [("SIGTERM", {143}), ("SIGINT", {130, -2})])
def test_the_exit_code_says_which(name: str, codes: set[int]) -> None:
    program = (
        "import signal\nfrom nemo_curator.engine.signals import Interrupts\n"
        f"with Interrupts() as interrupts, interrupts.allowed():\n    signal.raise_signal(signal.{name})\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=False)
    assert done.returncode in codes
