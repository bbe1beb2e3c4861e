"""A claim prints one line when it holds and raises when it does not."""

import re

import numpy as np
import pytest
from keras import ops

import conftest
from aecourse import claims


def printed(capsys, *args, **kwargs):
    claims.check(*args, **kwargs)
    return capsys.readouterr().out


# --- contract -------------------------------------------------------------------


def test_prints_sentence_requirement_and_measurement(capsys):
    line = printed(capsys, "it is flat", 0.3149, "angle < 1°")
    assert line == "✔ it is flat (required: angle < 1°)  [measured 0.315°]\n"


def test_prints_a_lower_bound(capsys):
    line = printed(capsys, "it learns", 12.345, "gain > 10 nats")
    assert line == "✔ it learns (required: gain > 10 nats)  [measured 12.3 nats]\n"


def test_prints_both_bounds_in_order(capsys):
    line = printed(capsys, "about right", 1.5, "1 < ratio < 2x")
    assert line == "✔ about right (required: 1 < ratio < 2x)  [measured 1.5x]\n"


def test_returns_nothing_so_that_a_cell_shows_one_line(capsys):
    assert claims.check("it is small", 0, "size < 1") is None


@pytest.mark.parametrize(
    "make",
    [
        float,
        np.float32,
        np.array,
        np.float64,
        ops.convert_to_tensor,
        lambda value: ops.sum(ops.convert_to_tensor([value, 0.0])),
    ],
)
def test_takes_any_scalar(make, capsys):
    assert "[measured 0.5]" in printed(capsys, "half", make(0.5), "size < 1")


def test_takes_whole_numbers(capsys):
    assert "[measured 19]" in printed(
        capsys, "some axes live", np.int64(19), "active units > 10"
    )


@pytest.mark.parametrize("value, text", [(12345, "12300"), (0.00012345, "0.000123")])
def test_shows_three_digits_without_an_exponent(value, text, capsys):
    line = printed(capsys, "sized", value, "size > 0")
    assert f"[measured {text}]" in line


def test_shows_more_digits_when_three_would_contradict_the_verdict(capsys):
    line = printed(capsys, "just below", 0.99996, "size < 1")
    assert "[measured 0.99996]" in line


def test_takes_a_share_for_percent(capsys):
    line = printed(capsys, "few", 0.0449, "share lost < 5%")
    assert line == "✔ few (required: share lost < 5%)  [measured 4.49%]\n"
    assert "[measured 5 %]" in printed(capsys, "few", 0.05, "share in [0, 5] %")
    assert "[measured 5%]" in printed(capsys, "few", 0.05, "1% < share < 9%")


@pytest.mark.parametrize(
    "requirement, conditions, unit",
    [
        ("largest angle < 1°", [("<", 1)], "°"),
        ("gain ≥ 1,234.5 nats/image", [("≥", 1234.5)], " nats/image"),
        ("gap ≤ -2.5e-06", [("≤", -2.5e-6)], ""),
        ("|W W^T - I| > 3", [(">", 3)], ""),
        ("1 < loss / (d/D) ≤ 2x", [(">", 1), ("≤", 2)], "x"),
        ("0 ≤ x < 1 dB", [("≥", 0), ("<", 1)], " dB"),
        ("axes in use in [10, 12]", [("≥", 10), ("≤", 12)], ""),
        ("ratio in [-1, 1] nats", [("≥", -1), ("≤", 1)], " nats"),
    ],
)
def test_reads_a_requirement(requirement, conditions, unit):
    assert claims.parse(requirement) == (conditions, unit)


# --- facts ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "requirement, held",
    [
        ("q < 1", [0.999]),
        ("q ≤ 1", [0.999, 1]),
        ("q > 2", [2.001]),
        ("q ≥ 2", [2, 2.001]),
        ("1 < q < 2", [1.001, 1.999]),
        ("1 ≤ q < 2", [1, 1.001, 1.999]),
        ("1 < q ≤ 2", [1.001, 1.999, 2]),
        ("q in [1, 2]", [1, 1.001, 1.999, 2]),
    ],
)
def test_holds_on_its_side_of_each_bound_alone(requirement, held, capsys):
    for value in (0.999, 1, 1.001, 1.999, 2, 2.001):
        if value in held:
            assert printed(capsys, "s", value, requirement)[0] == "✔"
        else:
            with pytest.raises(claims.ClaimError):
                claims.check("s", value, requirement)


def test_a_failed_claim_raises_its_line_and_prints_nothing(capsys):
    with pytest.raises(
        claims.ClaimError,
        match=re.escape("✘ it is flat (required: angle < 1°)  [measured 1.2°]"),
    ):
        claims.check("it is flat", 1.2, "angle < 1°")
    assert capsys.readouterr().out == ""


def test_a_failed_claim_is_an_assertion_error():
    assert issubclass(claims.ClaimError, AssertionError)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("sign", "<>≤≥")
def test_a_value_that_is_not_finite_fails(value, sign):
    with pytest.raises(claims.ClaimError, match="measured (nan|inf|-inf)"):
        claims.check("it is finite", value, f"size {sign} 1")


def sanitized(line):
    """Apply the project's one rule for comparing outputs, as nbval does."""
    regex, replace = re.match(
        "^regex: (.*)$\n^replace: (.*)$", conftest.SANITIZE, re.MULTILINE
    ).groups()
    return re.sub(regex, replace, line)


def test_comparison_ignores_the_measured_value(capsys):
    first = printed(capsys, "s [a]", 0.31, "angle < 1°")
    second = printed(capsys, "s [a]", 0.29, "angle < 1°")
    assert first != second
    assert sanitized(first) == sanitized(second)


@pytest.mark.parametrize(
    "change",
    [
        {"sentence": "t [a]"},
        {"sentence": "s [b]"},
        {"requirement": "angle [c] < 1°"},
        {"requirement": "angle < 2°"},
        {"requirement": "angle ≤ 1°"},
        {"requirement": "0.1 < angle < 1°"},
        {"requirement": "angle < 1 rad"},
    ],
)
def test_comparison_sees_every_other_change(change, capsys):
    claim = {"sentence": "s [a]", "requirement": "angle < 1°"}
    first = printed(capsys, value=0.31, **claim)
    second = printed(capsys, value=0.31, **{**claim, **change})
    assert sanitized(first) != sanitized(second)


def test_comparison_keeps_the_lines_around_a_claim(capsys):
    claim = printed(capsys, "s", 0.31, "angle < 1")
    text = f"before [1]\n{claim}[measured 3]\n✔ typed by hand\n"
    assert sanitized(text) == (
        "before [1]\n✔ s (required: angle < 1)\n[measured 3]\n✔ typed by hand\n"
    )


# --- refusals -------------------------------------------------------------------


@pytest.mark.parametrize(
    "requirement",
    [
        "ratio",
        "ratio < ",
        "ratio < a",
        "ratio <1",
        "ratio <= 1",
        "ratio == 1",
        "ratio = 1",
        "ratio < 1.2.3",
        "ratio < 1,00",
        "ratio < nan",
        "ratio < 1 [m]",
        "1 < ratio",  # the quantity first
        "1 < 2",
        "1 < ratio < 2 < 3",
        "ratio < 1 < 2",
        "2 > ratio > 1",
        "ratio in (1, 2)",
        "ratio in [1]",
        "2 < ratio < 1",
        "1 < ratio < 1",
        "ratio in [2, 1]",
        "30% < share < 0.4",
        "0.3 < share < 40%",
        "",
        "two < 1\nlines",
        "size  [m] < 1",
        3,
        None,
    ],
)
def test_refuses_what_it_cannot_read(requirement):
    with pytest.raises(ValueError, match="`requirement` must be .*Received: requir"):
        claims.check("s", 1, requirement)


@pytest.mark.parametrize(
    "value",
    [
        np.zeros(1),
        np.zeros((2, 2)),
        [1.0],
        "0.5",
        None,
        True,
        np.bool_(True),
        np.array(1 < 2),
        1j,
        np.complex128(1),
    ],
)
def test_refuses_a_value_that_is_no_real_scalar(value):
    with pytest.raises(ValueError, match="`value` must be .*Received: value="):
        claims.check("s", value, "q < 1")


def test_refuses_a_tensor_that_is_no_scalar():
    with pytest.raises(ValueError, match="`value` must be one number"):
        claims.check("s", ops.zeros((1,)), "q < 1")


@pytest.mark.parametrize("text", ["two\nlines", "end\n", "a\rb", "s  [x]", "", " ", 3])
def test_refuses_a_sentence_that_breaks_the_line(text):
    with pytest.raises(ValueError, match="`sentence` must be .*Received: sentence="):
        claims.check(text, 0, "q < 1")
