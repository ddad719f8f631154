"""Integer arithmetic that several rooms share."""


def ceil_div(a: int, b: int) -> int:
    """``a / b`` rounded up, for a positive ``b``.

    >>> ceil_div(7, 2), ceil_div(8, 2), ceil_div(-1, 2)
    (4, 4, 0)
    """
    return -(-a // b)
