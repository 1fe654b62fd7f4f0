"""What can go wrong in this package, in families by what the caller does next; every message says what to do."""


class ServerError(Exception):
    """Root of every error of this package."""


class StartError(ServerError):
    """The server cannot start as it was told. Fix the settings, files or keys that the message names."""


class StorageError(ServerError):
    """The object store or the catalogue cannot be read or written. Try again; if it stays, repair the store."""


class ObjectNotFound(StorageError):
    """There is no object under this key."""


class Conflict(ServerError):
    """Somebody else was faster. Read the present state and decide again."""


class Refused(ServerError):
    """The request or publication is wrong as it is. Fix it; repeating it cannot help."""


class NotFound(ServerError):
    """What was asked for is not published here."""


class StateError(ServerError):
    """What the store holds is not what its keys have signed. Restore the store; do not publish over it."""


class Unreachable(ServerError):
    """No answer from the server. Check the address and try again."""


class Unauthorized(ServerError):
    """The server does not take this token or credential. Get another one."""


class Revoked(ServerError):
    """This device gets no more keys. Make a new device key and enrol it."""
