"""The errors and warnings of the library. Input errors name the argument, what was found and what was expected."""


class CausalrepError(Exception):
    """Base of all errors that the library raises on purpose."""


class InputError(CausalrepError, ValueError):
    """A user's argument is wrong: in its shape, its values, or its combination with another argument.

    >>> raise InputError("alpha", found=-1.0, expected="a number above 0")
    Traceback (most recent call last):
        ...
    causalrep.errors.InputError: alpha: found -1.0; expected a number above 0.
    """

    def __init__(self, argument: str, *, found: object, expected: str):
        self.argument, self.found, self.expected = argument, found, expected
        super().__init__(f"{argument}: found {found}; expected {expected}.")


class DataError(CausalrepError):
    """A data set is missing, corrupt or not what its checksum says."""


class RecordsError(CausalrepError):
    """A records file or results folder cannot be read or written."""


class DivergenceError(CausalrepError):
    """A loss or gradient was not finite in training.

    Attributes:
        step: The update at which it happened.
        params: The last finite parameters, after ``step`` updates; None if the message names a checkpoint instead.
    """

    def __init__(self, message: str, *, step: int, params: object = None):
        self.step, self.params = step, params
        super().__init__(message)


class CheckpointError(CausalrepError):
    """A checkpoint cannot be written, or belongs to another fit."""


class CausalrepWarning(UserWarning):
    """Base of the library's warnings."""


class WeakInstrumentWarning(CausalrepWarning):
    """The first stage is too weak for Wald intervals to be trusted."""


class DivergenceWarning(CausalrepWarning):
    """Some of several networks were left out because their loss was not finite."""


class OverlapWarning(CausalrepWarning):
    """Some units have (almost) no counterpart in the other treatment arm."""


class IdentificationWarning(CausalrepWarning):
    """The assumptions do not identify the estimand: the estimate is one of many that the data allow."""


class NotFittedError(CausalrepError, ValueError, AttributeError):
    """A fitted attribute or method was used before ``fit``."""


class NoIntervalError(CausalrepError):
    """The estimator has no valid interval; the message says why."""


def first_line(error: BaseException) -> str:
    """The first line of an error's message, cut to 300 characters; the error's type if it has no message."""
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
