"""Protocols of the records that figures draw: any object with these attributes can be drawn.

Figures do not import the modules that make these records, so that a record may import the figures.
"""

from typing import Any

Model = Any  # one_output, link; predict(features), a call gives scores: `edunn.models`
Samples = Any  # features, targets, classes, feature_names, target_name: `edunn.data`
History = Any  # rows, status, metric, epochs, columns, best_epoch, stable_rate, snapshots; evaluated(), last()
Surface = Any  # first, second, values, names, loss, lowest, not_finite, gradient, field; minima(): `edunn.landscape`
Report = Any  # surface, minima, basins, cuts: `Surface.report`
Basins = Any  # ends, losses, labels, best_loss, best_fraction, rate, steps: `Surface.basins`
Graph = Any  # text, nodes, by_name; slopes(name): `edunn.graph`
Minimum = Any  # expression, at, path, rate, steps, stopped: `edunn.minimise`
StepStudy = Any  # expression, name, point, deltas, errors, best, theory: `edunn.minimise`
Dictionary = Any  # centroids; patches(): `edunn.features.patches`
Loss = Any  # pointwise(scores, targets): `edunn.losses`
