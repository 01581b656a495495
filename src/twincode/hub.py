"""Models from the Hugging Face hub, for who has the extra ``hub``."""

import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from twincode.errors import TwincodeError, installing

_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*")


def is_hub_name(text: str) -> bool:
    """Whether ``text`` could name a model on the hub, as ``user/name`` does, and is no folder."""
    return _NAME.fullmatch(text) is not None and not Path(text).exists()


def download(name: str, revision: str | None, files: Sequence[str]) -> Path:
    """The folder with a model's ``files``, of those that it has, downloaded where they are not yet.

    ``revision`` is a branch, a tag or a commit, and by default the newest. Raises TwincodeError
    where there is no such model or revision, for a hub out of reach, and without the extra.
    """
    if find_spec("huggingface_hub") is None:
        raise TwincodeError(
            f"there is no folder {name}; to load it from the hub, {installing('hub')}"
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(files)))
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise TwincodeError(
            f"there is no folder {name}, and no model {name} on the hub that you may read"
        ) from error
    except RevisionNotFoundError as error:
        raise TwincodeError(f"the model {name} on the hub has no revision {revision}") from error
    except LocalEntryNotFoundError as error:
        raise TwincodeError(
            f"there is no folder {name}, the hub is out of reach, and no earlier download of "
            f"{name} is here; connect, or give a folder"
        ) from error
    except Exception as error:  # whatever its libraries for the network raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise TwincodeError(f"cannot download {name} from the hub: {reason}") from error
