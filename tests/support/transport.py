"""The transport that services under test send by: the lean one, or with `TRANSPORT=session` aiohttp's session."""

import os
from typing import Final

TRANSPORT: Final = os.environ.get("TRANSPORT", "auto")
