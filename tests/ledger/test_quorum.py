"""Trust policies: every rule of the file is held with the line it breaks on, and quorums count as groups say."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import UsageError, VerificationError
from ledger.notes import COSIGNATURE, ED25519, Verifier
from ledger.quorum import MAX_DEFINITIONS, MAX_POLICY_BYTES, Group, KnownLog, KnownWitness, Policy, parse
from tests.builders import key


def log_key(name: str) -> Verifier:
    return Verifier(f"{name}.example/log", ED25519, key(f"log {name}").public_key)


def witness_key(name: str) -> Verifier:
    return Verifier(f"{name}.example/witness", COSIGNATURE, key(f"witness {name}").public_key)


def keys(names: Iterable[str]) -> list[Verifier]:
    return [witness_key(name) for name in names]


L, A, B, C = log_key("l").format(), *(witness_key(name).format() for name in "abc")
THREE = f"witness a {A}\nwitness b {B}\nwitness c {C}\n"

TWO_LEVELS = parse(
    "".join(
        [
            f"log {L}\n\n",
            *(f"witness X{n} {witness_key(f'X{n}').format()}\n" for n in (1, 2, 3)),
            "group X 2 X1 X2 X3\n\n",
            *(f"witness Y{n} {witness_key(f'Y{n}').format()}\n" for n in (1, 2, 3)),
            "group Y any Y1 Y2 Y3\n\ngroup both all X Y\nquorum both\n",
        ]
    ).encode()
)


def refusal(text: str | bytes) -> tuple[str, str]:
    with pytest.raises(UsageError) as refused:
        parse(text if isinstance(text, bytes) else text.encode())
    assert refused.value.cure
    return refused.value.place, refused.value.message


def lacking(policy: Policy, names: Iterable[str]) -> str:
    with pytest.raises(VerificationError) as refused:
        policy.check(keys(names))
    assert refused.value.step == "quorum"
    return refused.value.message


def test_a_policy_is_what_its_lines_say() -> None:
    policy = parse(
        f"# who we trust\n\tlog {L}   https://l.example/\n\n  # and whom we ask\n"
        f"witness a\t{A} https://a.example/prefix \nwitness b {B}\ngroup g 2 a b\nquorum g\n".encode()
    )
    assert policy == Policy(
        (KnownLog(log_key("l"), "https://l.example/"),),
        (KnownWitness("a", witness_key("a"), "https://a.example/prefix"), KnownWitness("b", witness_key("b"))),
        (Group("g", 2, ("a", "b")),),
        "g",
    )


def test_a_policy_may_need_no_cosignature() -> None:
    policy = parse(b"quorum none\n")
    assert policy == Policy((), (), (), None)
    policy.check([])


def test_logs_and_witnesses_may_come_after_the_quorum() -> None:
    policy = parse(f"witness a {A}\nquorum a\nwitness b {B}\nlog {L}\n".encode())
    assert [witness.name for witness in policy.witnesses] == ["a", "b"]


def test_a_single_witness_may_be_the_quorum() -> None:
    policy = parse(f"{THREE}quorum b\n".encode())
    policy.check(keys("b"))
    policy.check(keys("abc"))
    assert lacking(policy, "ac") == "the quorum b is not met: no cosignature by b"


@pytest.mark.parametrize(
    "cosigners", [("X1", "X2", "Y1"), ("X1", "X3", "Y3"), ("X1", "X2", "X3", "Y2"), ("X2", "X3", "Y1", "Y2", "Y3")]
)
def test_a_quorum_of_groups_is_met(cosigners: tuple[str, ...]) -> None:
    TWO_LEVELS.check(keys(cosigners))


@pytest.mark.parametrize(
    ("cosigners", "message"),
    [
        (("X1", "Y1"), "both has 1 of 2, X has 1 of 2): no cosignature by X2, X3"),
        (("X1", "X2", "X3"), "both has 1 of 2, Y has 0 of 1): no cosignature by Y1, Y2, Y3"),
        ((), "both has 0 of 2, X has 0 of 2, Y has 0 of 1): no cosignature by X1, X2, X3, Y1, Y2, Y3"),
    ],
)
def test_a_quorum_that_is_not_met_names_who_is_missing(cosigners: tuple[str, ...], message: str) -> None:
    assert lacking(TWO_LEVELS, cosigners) == f"the quorum both is not met ({message}"


def test_the_keys_of_strangers_and_logs_count_for_nothing() -> None:
    policy = parse(f"log {L}\nwitness a {A}\nquorum a\n".encode())
    same_name = Verifier("a.example/witness", COSIGNATURE, key("an impostor").public_key)
    as_a_log = Verifier("a.example/witness", ED25519, key("witness a").public_key)
    with pytest.raises(VerificationError):
        policy.check([same_name, as_a_log, log_key("l"), witness_key("b")])


def test_a_witness_that_cosigned_twice_counts_once() -> None:
    assert "g has 1 of 2" in lacking(parse(f"{THREE}group g 2 a b c\nquorum g\n".encode()), "aaa")


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("", 1, "no quorum is defined"),
        (THREE, 3, "no quorum is defined"),
        (f"{THREE}quorum a\nquorum b\n", 5, "a second quorum"),
        (f"{THREE}quorum none\nquorum none\n", 5, "a second quorum"),
        (f"{THREE}quorum\n", 4, "quorum with 0 words is no line of a policy"),
        (f"{THREE}quorum a b\n", 4, "quorum with 2 words"),
        (f"quorum a\nwitness a {A}\n", 1, "a is not defined above"),
        (f"{THREE}quorum d\n", 4, "d is not defined above"),
        (f"{THREE}quorum A\n", 4, "A is not defined above"),
        (f"{THREE}Quorum a\n", 4, "Quorum with 1 words"),
        (f"{THREE}cosigner a\n", 4, "cosigner with 1 words"),
        (f"log {L} u v\nquorum none\n", 1, "log with 3 words"),
        ("log\nquorum none\n", 1, "log with 0 words"),
        (f"log {A}\nquorum none\n", 1, "has the type 0x04"),
        (f"log {L[:-4]}AAAA\nquorum none\n", 1, "hashes to"),
        (f"log {L}x\nquorum none\n", 1, "is no verifier key"),
        (f"log {L}\nlog {log_key('other').format()}\nlog {L} https://l.example\nquorum none\n", 3, "public key"),
        (
            f"log {L}\nlog {Verifier('other', ED25519, log_key('l').public_key).format()}\nquorum none\n",
            2,
            "a log with this public key is defined above",
        ),
        (f"witness {A}\nquorum none\n", 1, "witness with 1 words"),
        (f"witness a {A} u v\nquorum none\n", 1, "witness with 4 words"),
        (f"witness a {L}\nquorum none\n", 1, "has the type 0x01"),
        (f"witness none {A}\nquorum none\n", 1, "none cannot be defined"),
        (f"{THREE}witness a {witness_key('d').format()}\nquorum none\n", 4, "a is defined above"),
        (f"{THREE}witness d {A}\nquorum none\n", 4, "a witness with this public key is defined above"),
        (
            f"{THREE}witness d {Verifier('other', COSIGNATURE, witness_key('a').public_key).format()}\nquorum a\n",
            4,
            "a witness with this public key is defined above",
        ),
        (f"{THREE}group g all\nquorum g\n", 4, "group with 2 words"),
        (f"{THREE}group g a b\nquorum g\n", 4, "a of 1 members is no threshold"),
        (f"{THREE}group g 0 a b\nquorum g\n", 4, "0 of 2 members is no threshold"),
        (f"{THREE}group g 3 a b\nquorum g\n", 4, "3 of 2 members is no threshold"),
        (f"{THREE}group g -1 a b\nquorum g\n", 4, "no threshold"),
        (f"{THREE}group g 02 a b\nquorum g\n", 4, "no threshold"),
        (f"{THREE}group g +2 a b\nquorum g\n", 4, "no threshold"),
        (f"{THREE}group g 0x2 a b\nquorum g\n", 4, "no threshold"),
        (f"{THREE}group g \u0662 a b\nquorum g\n", 4, "no threshold"),
        (f"{THREE}group g {'9' * 5000} a b\nquorum g\n", 4, "no threshold"),
        (f"{THREE}group g All a b\nquorum g\n", 4, "no threshold"),
        (f"{THREE}group g any a a\nquorum g\n", 4, "a is a member already"),
        (f"{THREE}group g any a b\ngroup h any b c\nquorum h\n", 5, "b is a member already"),
        (f"{THREE}group g any a\ngroup h any g\ngroup i any g\nquorum i\n", 6, "g is a member already"),
        (f"{THREE}group g any a none\nquorum g\n", 4, "none cannot be a member"),
        (f"{THREE}group g any g\nquorum g\n", 4, "g is not defined above"),
        (f"{THREE}group g any h\ngroup h any g\nquorum g\n", 4, "h is not defined above"),
        (f"{THREE}group a any b\nquorum a\n", 4, "a is defined above"),
        (f"{THREE}group none any b\nquorum none\n", 4, "none cannot be defined"),
        (f"{THREE}quorum a", 4, "the last line has no end"),
        (f"{THREE}quorum a # the first\n", 4, "quorum with 4 words"),
        (f"{THREE}\r\nquorum a\n", 4, "the octet 0x0d is not allowed"),
        ("# \x00\nquorum none\n", 1, "the octet 0x00 is not allowed"),
        ("\n# \x7f\nquorum none\n", 2, "the octet 0x7f is not allowed"),
        ("quorum\x0bnone\n", 1, "the octet 0x0b is not allowed"),
        ("quorum\x0cnone\n", 1, "the octet 0x0c is not allowed"),
        ("quorum\u2003none\n", 1, "quorum\u2003none with 0 words"),
        ("quorum\u00a0none\n", 1, "with 0 words"),
        ("\ufeffquorum none\n", 1, "with 1 words"),
        (f"{'#' * MAX_POLICY_BYTES}\n", 1, "are allowed"),
    ],
)
def test_a_rule_that_is_broken_is_named_with_its_line(text: str, line: int, reason: str) -> None:
    place, message = refusal(text)
    assert place == f"line {line}"
    assert reason in message


def test_names_are_octets() -> None:
    policy = parse(
        b"witness K %s\nwitness \xe2\x84\xaa %s\nwitness \xff %s\nquorum \xff\n" % tuple(map(str.encode, (A, B, C)))
    )
    assert len({witness.name for witness in policy.witnesses}) == 3
    policy.check(keys("c"))
    message = lacking(policy, "ab")
    assert message == "the quorum \\xff is not met: no cosignature by \\xff"
    assert refusal(f"witness K {A}\nquorum \u212a\n") == ("line 2", "\u212a is not defined above")
    _, message = refusal(b"quorum \xfe\n")
    assert message == "\\xfe is not defined above"


def test_words_that_mean_something_elsewhere_are_names_too() -> None:
    policy = parse(
        f"witness all {A}\nwitness any {B}\nwitness 2 {C}\ngroup quorum 2 all any 2\nquorum quorum\n".encode()
    )
    policy.check(keys("ac"))


def test_32_of_each_and_more_are_read() -> None:
    logs = "".join(f"log {log_key(str(n)).format()}\n" for n in range(32))
    witnesses = "".join(f"witness w{n} {witness_key(str(n)).format()} https://{n}.example\n" for n in range(32))
    groups = "group g0 any w0\n" + "".join(f"group g{n} all g{n - 1} w{n}\n" for n in range(1, 32))
    policy = parse(f"{logs}{witnesses}{groups}quorum g31\n".encode())
    policy.check(keys(map(str, range(32))))
    assert lacking(policy, map(str, range(1, 32))).endswith("no cosignature by w0")


def test_definitions_are_limited() -> None:
    chain = [f"group {n} any {n - 1}\n" for n in range(1, MAX_DEFINITIONS)]
    deep = f"witness 0 {A}\n{''.join(chain)}quorum {MAX_DEFINITIONS - 1}\n"
    policy = parse(deep.encode())
    policy.check(keys("a"))
    assert lacking(policy, "b").endswith("no cosignature by 0")
    assert refusal(f"log {L}\n{deep}") == (f"line {MAX_DEFINITIONS + 1}", f"more than {MAX_DEFINITIONS} definitions")


@st.composite
def nested(draw: st.DrawFn) -> tuple[str, dict[str, tuple[int, list[str]]], str]:
    """Draw a policy of six witnesses and some groups; returns its text, its groups and its quorum."""
    free = list("abcdef")
    text = "".join(f"witness {name} {witness_key(name).format()}\n" for name in free)
    groups: dict[str, tuple[int, list[str]]] = {}
    for number in range(draw(st.integers(0, 5))):
        members = draw(st.lists(st.sampled_from(free), min_size=1, unique=True))
        threshold = draw(st.integers(1, len(members)))
        free = [name for name in free if name not in members] + [f"g{number}"]
        groups[f"g{number}"] = threshold, members
        text += f"group g{number} {threshold} {' '.join(members)}\n"
    quorum = draw(st.sampled_from([*"abcdef", *groups]))
    return f"{text}quorum {quorum}\n", groups, quorum


@given(nested())
def test_a_quorum_is_met_exactly_as_its_groups_say(drawn: tuple[str, dict[str, tuple[int, list[str]]], str]) -> None:
    text, groups, quorum = drawn
    policy = parse(text.encode())

    def witnessed(name: str, cosigners: set[str]) -> bool:
        if name not in groups:
            return name in cosigners
        threshold, members = groups[name]
        return sum(witnessed(member, cosigners) for member in members) >= threshold

    for chosen in itertools.product((False, True), repeat=6):
        cosigners = {name for name, takes_part in zip("abcdef", chosen, strict=True) if takes_part}
        if witnessed(quorum, cosigners):
            policy.check(keys(cosigners))
        else:
            lacking(policy, cosigners)


words = st.sampled_from(
    ["log", "witness", "group", "quorum", "a", "b", "g", "none", "any", "all", "1", "2", "#", L, A, B]
)
lines = st.lists(words | st.text(max_size=3), max_size=6).map(" ".join)


@given(st.binary() | st.lists(lines, max_size=6).map(lambda found: "".join(f"{line}\n" for line in found).encode()))
def test_any_bytes_are_a_policy_or_refused_with_a_place_and_a_cure(raw: bytes) -> None:
    try:
        policy = parse(raw)
    except UsageError as error:
        assert error.place.startswith("line ") and error.cure
        str(error).encode()
    else:
        assert raw.endswith(b"\n")
        assert policy.quorum in (None, *(item.name for item in (*policy.witnesses, *policy.groups)))
