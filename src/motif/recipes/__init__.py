"""One file per family: data, features, sampling. Families do not import one another."""
