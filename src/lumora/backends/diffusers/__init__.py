"""Open-weight video models, run by the diffusers library."""

import logging
import os

# diffusers imports torchao where it is installed, and both then tell of files that only a GPU can load.
os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
for _library in ("torchao", "torch.utils._pytree"):
    logging.getLogger(_library).setLevel(logging.ERROR)
