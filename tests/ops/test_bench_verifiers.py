"""The comparison of Ed25519 verifiers, with the two that the project installs anyway."""

from __future__ import annotations

from ops.bench.verifiers import installed, lets_threads_run, measure, rule_of


def test_pynacl_keeps_the_rule_and_openssl_does_not() -> None:
    verifiers = installed()
    assert next(iter(verifiers)) == "pynacl"
    assert rule_of(verifiers["pynacl"]) == "kept"
    assert rule_of(verifiers["cryptography"]) == "accepts an R that is the neutral point"


def test_both_are_measured_side_by_side_on_two_processes() -> None:
    took = measure(["pynacl", "cryptography"], 1, 2)
    assert list(took) == ["pynacl", "cryptography"]
    assert all(microseconds > 0 for microseconds in took.values())


def test_other_threads_run_beside_pynacl_and_wait_for_what_keeps_the_lock() -> None:
    assert lets_threads_run(installed()["pynacl"])
    assert not lets_threads_run(lambda *_: True)
