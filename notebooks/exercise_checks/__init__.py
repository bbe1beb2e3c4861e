"""Checks of the exercises: one line each, and none of them raises.

An exercise in a notebook is a stub that returns `NotImplemented`,
followed by a call of its check. The check prints one of

    exercise 1: not done yet
    exercise 1: a hint
    exercise 1: correct

and the worked notebook in `solutions/` calls the same check.

How to add one:

1. The checks of a notebook stand in the module that has its name
   without the number: `start_here.py` for `00_start_here.ipynb`.
2. A check receives what the reader wrote and returns a hint, or
   `None` when the answer is right; `check_1` belongs to exercise 1:

       @exercise(1)
       def check_1(compression_ratio):
           if compression_ratio(784, 32) != 24.5:
               return "how many pixels per number of the code?"
           return None

3. Notebook and solution import it under one name and call it below
   the reader's function:

       from exercise_checks import start_here as exercises
       exercises.check_1(compression_ratio)

Inside a check the reader's function is called as it is: an unfinished
stub, a forgotten `return` and an exception in the reader's code end
the check with the right line.
"""

import functools
import inspect


class _Verdict(Exception):
    """Ends a check early; its text is what the reader is told."""


def exercise(number):
    """Turn a function that returns a hint or `None` into a check.

    Args:
        number: int, the number of the exercise in its notebook.

    Returns:
        A decorator. The decorated check takes the same arguments, prints
        one line and returns `None`, so nothing else stands below a cell.
    """

    def decorate(find_hint):
        @functools.wraps(find_hint)
        def check(*answers):
            print(f"exercise {number}: {_judge(find_hint, answers)}")

        return check

    return decorate


def _judge(find_hint, answers):
    try:
        hint = find_hint(*[_guard(answer) for answer in answers])
    except _Verdict as verdict:
        return str(verdict)
    except Exception as error:
        return f"your answer cannot be checked: {_in_one_line(error)}"
    return "correct" if hint is None else " ".join(str(hint).split())


def _guard(answer):
    """Wrap a reader's function: what goes wrong becomes the verdict."""
    if answer is NotImplemented:
        raise _Verdict("not done yet")
    if not inspect.isroutine(answer):
        return answer  # a number, an array, a layer or a model

    @functools.wraps(answer)
    def guarded(*args, **kwargs):
        try:
            result = answer(*args, **kwargs)
        except Exception as error:
            message = f"your code raises {_in_one_line(error)}"
            raise _Verdict(message) from error
        parts = result if isinstance(result, (tuple, list)) else [result]
        if any(part is NotImplemented for part in parts):
            raise _Verdict("not done yet")
        if result is None:
            raise _Verdict("your function returns None: no `return`?")
        return result

    return guarded


def _in_one_line(error):
    words = " ".join(f"{type(error).__name__}: {error}".split())
    return words.removesuffix(":")
