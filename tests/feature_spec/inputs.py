"""Made-up day inputs that reach every branch of the prebuilt features."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Cells = npt.NDArray[np.float32]


def random_input(seed: int, users: int) -> tuple[Cells, Cells]:
    """Users between silent and busy, with everything, something or nothing known of them."""
    random = np.random.default_rng(seed)
    rate = random.choice([0.0, 0.02, 0.3, 3.0], size=(users, 1, 8))
    busy = random.choice([0.02, 0.2, 1.0], size=(users, 1, 1))
    # Half of them have been away for a while.
    away = random.integers(0, 60, users) * random.integers(0, 2, users)
    count = random.poisson(rate * busy, (users, 90, 8)) * (np.arange(90) >= away[:, None])[:, :, None]
    values = random.binomial(count, 0.5)
    total = np.round(values * random.normal(0.5, 0.4, values.shape), 3)
    context = np.stack(
        [
            random.integers(1, 91, users),
            random.integers(0, 2000, users),
            random.integers(0, 400, users),
            random.integers(1, 400, users),
            random.integers(0, 12, users),
            random.random(users),
            np.round(random.exponential(60.0, users), 3).clip(0, 2208),
            random.integers(0, 7, users),
            random.integers(0, 24, users),
            random.integers(1, 32, users),
            random.integers(1, 367, users),
            random.poisson(20, users),
            random.integers(0, 6, users),
            random.integers(0, 3, users),
        ],
        axis=1,
    )
    context = np.where(random.random(context.shape) < 0.25, -1, context)
    observed = np.where(context[:, :1] < 0, 90, context[:, :1])
    seen = (np.arange(90)[None, :] < observed)[:, :, None, None]
    daily = np.stack([count, values, total], axis=3) * seen
    return daily.astype(np.float32), context.astype(np.float32)
