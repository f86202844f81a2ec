"""The exception tree.

```
OnewarpError
├── UsageError         (ValueError)   an argument, option or source that cannot be used as given
├── SourceError        (ValueError)   a source of images that is not there, is empty, or names two images alike
├── DispatchError      (TypeError)    a transform met a type that it has no overload for
├── SpecError          (ValueError)   a pipeline that cannot be written to, or read from, JSON
├── DecodeError        (ValueError)   a file that is not a picture that may be used, with its reason
│   └── CutOffError                   a file that ends too early
├── ResourceError                     what the machine had no room for; the file, cache or model is not the reason
├── LabelError         (ValueError)   a label that cannot be found, or is not in the vocabulary
│   └── MissingLabelError             an item without a label
├── CacheError                        a cache that cannot be opened, is damaged, locked or of another version
│   └── DamagedRowError               a row whose bytes are not those that were written
├── WarpError          (ValueError)   images, matrices or an output that the warp cannot work with
├── FetchError                        an archive that cannot be downloaded, is another one, or must not be unpacked
├── ServiceError                      a service that does not answer, refuses a request, or cannot be started
├── TrainingError                     a model, loss or checkpoint that does not fit
└── MissingDependencyError (ImportError)   an optional package that has to be installed first
```

Every message says what failed, what was got, what was expected and what to do.
"""

__all__ = [
    "CacheError",
    "CutOffError",
    "DamagedRowError",
    "DecodeError",
    "DispatchError",
    "FetchError",
    "LabelError",
    "MissingDependencyError",
    "MissingLabelError",
    "OnewarpError",
    "ResourceError",
    "ServiceError",
    "SourceError",
    "SpecError",
    "TrainingError",
    "UsageError",
    "WarpError",
]


class OnewarpError(Exception):
    """Whatever onewarp raises on purpose."""


class UsageError(OnewarpError, ValueError):
    """An argument, option or source cannot be used as given."""


class SourceError(OnewarpError, ValueError):
    """A source of images is not there, is empty, or names two images alike."""


class DispatchError(OnewarpError, TypeError):
    """A transform met a type that it has no overload for."""


class SpecError(OnewarpError, ValueError):
    """A pipeline cannot be written to, or read from, JSON."""


class DecodeError(OnewarpError, ValueError):
    """A file is not a picture, or not one that may be used; the message is the reason."""


class CutOffError(DecodeError):
    """The file ends too early; `missing` bytes of rows, which are so large a `share` of all, where that is known."""

    def __init__(self, message: str, missing: int = 0, share: float = 0.0) -> None:
        super().__init__(message)
        self.missing, self.share = missing, share


class ResourceError(OnewarpError):
    """The machine had no room for something; what it was asked for is all right, and may be asked for again."""


class LabelError(OnewarpError, ValueError):
    """A label cannot be found, or is not in the vocabulary."""


class MissingLabelError(LabelError):
    """An item has no label: None, NaN or empty text stands in its place."""


class CacheError(OnewarpError):
    """A cache cannot be opened, is damaged, locked, or of another version."""


class DamagedRowError(CacheError):
    """A row's bytes are not those that were written; `row` is its number, `key` its name."""

    def __init__(self, message: str, row: int, key: str) -> None:
        super().__init__(message)
        self.row, self.key = row, key

    def __reduce__(self) -> tuple[type["DamagedRowError"], tuple[str, int, str]]:
        return type(self), (str(self), self.row, self.key)


class WarpError(OnewarpError, ValueError):
    """Images, matrices or an output specification that the warp cannot work with."""


class FetchError(OnewarpError):
    """An archive cannot be downloaded, is not the expected one, or must not be unpacked."""


class ServiceError(OnewarpError):
    """A service does not answer, refuses a request, or cannot be started."""


class TrainingError(OnewarpError):
    """A model, a loss or a checkpoint does not fit."""


class MissingDependencyError(OnewarpError, ImportError):
    """An optional package has to be installed first."""
