"""The three parts of a dataset, in the order in which they are chosen and written; apart from the image file, which needs h5py."""

SPLITS = ("train", "validation", "test")
