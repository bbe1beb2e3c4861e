"""The sentence a notebook claims, checked and printed on one line.

A trained number differs between backends and machines; a claim about it should not.
So a claim prints a verdict with what it requires, and the measured value in a bracket
at the end. `pytest --nbval` compares everything but that bracket: the claim fails when
the sentence or the requirement changes, and when the code no longer bears it out.
"""

import math
import operator
import re

from aecourse.checks import refuse

SIGNS = {"<": operator.lt, "≤": operator.le, ">": operator.gt, "≥": operator.ge}

NUMBER = r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[-+]?\d+)?"
QUANTITY = r"(?P<quantity>[^<>≤≥]*[^\W\d][^<>≤≥]*)"  # words
UNIT = r"(?P<unit>(?: ?[^\W\d]| ?[°%])[^<>≤≥\[\]]*|)"
FORMS = (
    rf"(?P<low>{NUMBER})(?P<low_unit>%?) (?P<low_sign>[<≤]) {QUANTITY} "
    rf"(?P<high_sign>[<≤]) (?P<high>{NUMBER}){UNIT}",
    rf"{QUANTITY} (?P<sign>[<>≤≥]) (?P<bound>{NUMBER}){UNIT}",
    rf"{QUANTITY} in \[(?P<first>{NUMBER}), (?P<last>{NUMBER})\]{UNIT}",
)


class ClaimError(AssertionError):
    """A claim does not hold."""


def check(sentence, value, requirement):
    """Print a claim with its measured value, or raise when it does not hold.

    A value that is not finite fails. The value is shown with three significant digits,
    more when fewer would put it on the wrong side of a bound.

    Args:
        sentence: str, the claim in words. It is compared between runs, so it carries
            no measured number.
        value: scalar, the measured value: a Python number, or an array or tensor of
            no dimensions. A share when the requirement is in percent: 0.05 is 5%.
        requirement: str, what is required of the value, as it is read:
            `"largest angle < 1°"`, `"gain ≥ 1,000 nats"`, `"share lost > 5%"`,
            `"0.9 < ratio < 1.1"` or `"ratio in [0.9, 1.1]"`, where the ends belong to
            the range. The words before the bound say what `value` is; what follows the
            number is its unit.

    Raises:
        ClaimError: if the claim does not hold.
        ValueError: if `requirement` does not read like one of these, if its range is
            empty, if `value` is no scalar number, or if a text could not be told from
            the measured bracket.

    Example:

    >>> check("two is small", 2, "size < 3 cm")
    ✔ two is small (required: size < 3 cm)  [measured 2 cm]
    >>> check("a third is about 0.3", 1 / 3, "30% < share < 40%")
    ✔ a third is about 0.3 (required: 30% < share < 40%)  [measured 33.3%]
    """
    _check_text("sentence", sentence)
    conditions, unit = parse(requirement)
    number = _scalar(value)
    if unit.strip().startswith("%"):
        number *= 100
    measured = f"[measured {_shown(number, conditions)}{unit}]"
    line = f"{sentence} (required: {requirement})  {measured}"
    if not (math.isfinite(number) and _holds(number, conditions)):
        raise ClaimError(f"✘ {line}")
    print(f"✔ {line}")


def parse(requirement):
    """Read a requirement as `check` does.

    Args:
        requirement: str, such as `"0.9 < ratio < 1.1"`.

    Returns:
        The conditions, a list of pairs of a sign and a bound, and the unit: a str.

    Raises:
        ValueError: as in `check`.

    Example:

    >>> parse("0.9 < ratio ≤ 1,000 dB")
    ([('>', 0.9), ('≤', 1000.0)], ' dB')
    """
    _check_text("requirement", requirement)
    matches = (re.fullmatch(form, requirement) for form in FORMS)
    found = next((match.groupdict() for match in matches if match), None)
    if found is None:
        refuse(
            "requirement",
            "words and a bound, such as 'largest angle < 1°', 'gain ≥ 2 nats', "
            "'0.9 < ratio < 1.1' or 'ratio in [0.9, 1.1]'",
            requirement,
        )
    unit = found["unit"]
    if "bound" in found:
        return [(found["sign"], _number(found["bound"]))], unit
    if "low" in found:
        low, high = _number(found["low"]), _number(found["high"])
        signs = {"<": ">", "≤": "≥"}[found["low_sign"]], found["high_sign"]
        if bool(found["low_unit"]) != unit.strip().startswith("%"):
            refuse("requirement", "a range with both ends or none in %", requirement)
    else:
        low, high = _number(found["first"]), _number(found["last"])
        signs = "≥", "≤"
    if not low < high:
        refuse("requirement", "a range whose first end is the smaller one", requirement)
    return [(signs[0], low), (signs[1], high)], unit


def _number(text):
    return float(text.replace(",", ""))


def _holds(number, conditions):
    return all(SIGNS[sign](number, bound) for sign, bound in conditions)


def _scalar(value):
    kind = str(getattr(value, "dtype", type(value).__name__))
    if isinstance(value, (str, bytes)) or "bool" in kind or "complex" in kind:
        refuse("value", "a real number, not a verdict or a text", value)
    if tuple(getattr(value, "shape", ())) != ():
        refuse("value", "one number, not an array", value)
    try:
        return float(value)
    except (TypeError, ValueError):
        refuse("value", "a number", value)


def _check_text(name, text):
    """Refuse what the comparison could take for the measured bracket."""
    if not isinstance(text, str):
        refuse(name, "a string", text)
    if not text.strip():
        refuse(name, "words", text)
    if "".join(text.splitlines()) != text or "  [" in text:
        refuse(name, "one line without two spaces before a bracket", text)


def _shown(number, conditions):
    """Three significant digits; more when rounding would cross a bound."""
    if not math.isfinite(number):
        return str(number)
    for digits in range(3, 18):
        text = f"{number:.{digits}g}"
        if _holds(float(text), conditions) == _holds(number, conditions):
            break
    if "e" in text and 1e-4 <= abs(number) < 1e7:
        text = f"{float(text):.0f}"
    return text
