"""The workshop: what more than one competition can use; it decides nothing about any of them.

Data flows one way: raw files -> tables -> features -> folds -> fit -> predict -> blend ->
submission. A file imports only from lower floors (floor 3: training, inference; 2: inputs, nets;
1: features, neighbors, losses, metrics, validation, ensemble; 0: contract, checks, settings,
stages, seeds, geo). `common.data` stands aside: it is the only room that touches disk or network,
and only competitions and pipelines import it.

Shape letters used in docstrings and at line ends: B batch, T time, N points or rows, D dims, K
clusters or neighbours, C classes, M models, H W pixels.
"""
