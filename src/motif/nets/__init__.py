"""Networks, one file per family. They know tensors and rigs, never motions."""
