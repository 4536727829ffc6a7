"""The exceptions of the package."""


class Error(Exception):
    """An error of picodet: one line with what, where, and what to do."""

    __module__ = "picodet"


class ModelError(Error):
    """A model that does not exist, cannot be read, or cannot be run."""

    __module__ = "picodet"


class ImageError(Error, ValueError):
    """An image that cannot be decoded, or an array that is not an image."""

    __module__ = "picodet"
