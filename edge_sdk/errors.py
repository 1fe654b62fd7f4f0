"""What can go wrong on a device, in families by what the caller does next."""


class EdgeError(Exception):
    """Root of every error of this package; the message says what to do."""


class InputError(EdgeError):
    """The caller passed something wrong. Fix the input; retrying the same call cannot help."""


class VerificationError(EdgeError):
    """Bytes are not what was signed, or not signed by who must. Refuse them; do not retry as they are."""


class FormatError(VerificationError):
    """Bytes do not have the form that a protocol page fixes."""


class RetryLater(EdgeError):
    """Nothing is wrong with the request: no network, server busy, no free session. Try again later."""


class DeadlineExceeded(RetryLater):
    """The answer did not come within the budget."""


class NotAvailable(EdgeError):
    """What was asked for does not exist here: no such model, nothing fetched yet, no fitting target."""


class LeaseExpired(NotAvailable):
    """A device's key for a model was lent until now. Renew it when online; until then, fall back."""


class UpdateRequired(EdgeError):
    """This SDK is too old for what was published. Update the app."""


class StoreError(EdgeError):
    """The local cache cannot be read or written (full, no permission, damaged)."""
