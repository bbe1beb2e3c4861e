"""The sentence a notebook claims, checked and printed on one line.

A trained number differs between backends and machines; a claim about it should not.
So a claim prints a verdict with its threshold, and the measured value in a bracket at
the end. `pytest --nbval` compares everything but that bracket: the claim fails when
the sentence or the threshold changes, and when the code no longer bears it out.
"""

import math

from aecourse.checks import check_number, refuse


class ClaimError(AssertionError):
    """A claim does not hold."""


def check(sentence, value, quantity, *, below=None, above=None, unit=""):
    """Print a claim with its measured value, or raise when it does not hold.

    Bounds are exclusive: a value that equals a bound fails, and so does one that is
    not finite. The value is shown with three significant digits, more when fewer
    would put it on the wrong side of a bound.

    Args:
        sentence: str, the claim in words. It is compared between runs, so it carries
            no measured number.
        value: scalar, the measured value: a Python number, or an array or tensor of
            no dimensions.
        quantity: str, what `value` is, as it is written before the bound.
        below: float or `None`. The claim is `value < below`.
        above: float or `None`. The claim is `value > above`.
        unit: str, follows the value and the bound: `"°"`, `"%"`, `" nats"`.

    Raises:
        ClaimError: if the claim does not hold.
        ValueError: if there is no bound, if `above` is not smaller than `below`, if
            `value` is no scalar number, or if a text could not be told from the
            measured bracket.

    Example:

    >>> check("two is small", 2, "size", below=3, unit=" cm")
    ✔ two is small (required: size < 3 cm)  [measured 2 cm]
    >>> check("a third is about 0.3", 1 / 3, "ratio", above=0.3, below=0.4)
    ✔ a third is about 0.3 (required: 0.3 < ratio < 0.4)  [measured 0.333]
    """
    for name, text in (("sentence", sentence), ("quantity", quantity), ("unit", unit)):
        _check_text(name, text)
    for name, text in (("sentence", sentence), ("quantity", quantity)):
        if not text.strip():
            refuse(name, "words", text)
    if below is None and above is None:
        raise ValueError(
            "A claim needs a bound: give `below`, `above` or both. "
            "Received: below=None, above=None"
        )
    for name, bound in (("below", below), ("above", above)):
        if bound is not None:
            check_number(name, bound)
    if below is not None and above is not None and not above < below:
        raise ValueError(
            "Argument `above` must be smaller than `below`. "
            f"Received: above={above!r}, below={below!r}"
        )
    number = _scalar(value)

    low = "" if above is None or below is None else f"{_exact(above)} < "
    bound = f" > {_exact(above)}" if below is None else f" < {_exact(below)}"
    claim = f"{sentence} (required: {low}{quantity}{bound}{unit})"
    measured = f"[measured {_shown(number, below, above)}{unit}]"
    if not (math.isfinite(number) and _holds(number, below, above)):
        raise ClaimError(f"✘ {claim}  {measured}")
    print(f"✔ {claim}  {measured}")


def _holds(number, below, above):
    return (below is None or number < below) and (above is None or number > above)


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
    if "".join(text.splitlines()) != text or "  [" in text:
        refuse(name, "one line without two spaces before a bracket", text)
    if name == "unit" and set(text) & set("[]"):
        refuse(name, "free of square brackets", text)


def _exact(bound):
    """Write a bound briefly, but never as another number than the one compared."""
    brief = f"{bound:g}"
    return brief if float(brief) == bound else repr(float(bound))


def _shown(number, below, above):
    """Three significant digits; more when rounding would cross a bound."""
    if not math.isfinite(number):
        return str(number)
    for digits in range(3, 18):
        text = f"{number:.{digits}g}"
        if _holds(float(text), below, above) == _holds(number, below, above):
            break
    if "e" in text and 1e-4 <= abs(number) < 1e7:
        text = f"{float(text):.0f}"
    return text
