"""Checks of the exercises: one line each, and none of them raises.

An exercise in a notebook is a stub that returns `NotImplemented`,
followed by a call of its check. The check prints one of

    exercise 1: not done yet
    exercise 1: a hint
    exercise 1: correct

To add a check:

1. The module has the notebook's name without its number; the notebook
   and its solutions import it: `from exercise_checks import start_here`.
2. Write a function that bears the exercise's number, receives what the
   reader wrote and returns a hint, or `None` when the answer is right:

       @check
       def exercise_1(compression_ratio):
           if compression_ratio(784, 32) != 24.5:
               return "how many pixels stand behind one number of z?"
           return None

3. Call the reader's function as it is. An unfinished stub, a forgotten
   `return` or an exception in it ends the check with the right line.
4. Hand it copies of arrays, compare with an independent computation,
   and give a hint for each mistake that you expect.
5. Below the stub and below its solution, call
   `start_here.exercise_1(compression_ratio)`.
"""

import functools
import inspect


class _Verdict(Exception):
    """Ends a check early; its text is what the reader is told."""


def check(find_hint):
    """Turn a function that returns a hint or `None` into a check.

    Args:
        find_hint: function whose name is the exercise's: `exercise_1`.

    Returns:
        A function of the same arguments that prints one line and
        returns `None`, so that nothing else stands below a cell.
    """
    exercise = find_hint.__name__.replace("_", " ")

    @functools.wraps(find_hint)
    def print_verdict(*answers):
        print(f"{exercise}: {_judge(find_hint, answers)}")

    return print_verdict


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
