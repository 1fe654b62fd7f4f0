"""Models that can be trained by name: what there is, their data, their training, their rules.

`converters.zoo.training` fits one, `converters.zoo.model_dir` keeps it, `converters.zoo.rows` and
`converters.zoo.comparison` make the rows that prove its twins.
"""

from converters.zoo.catalogue import ZOO, ZooModel, find

__all__ = ["ZOO", "ZooModel", "find"]
