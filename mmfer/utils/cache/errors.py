"""Error for a cache that cannot be used."""


class CacheUnavailableError(Exception):
    """Error for a cache that cannot be used; the text says why and what to do.

    The text has no full stop at its end, because callers put it into a sentence.
    """
