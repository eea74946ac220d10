"""Networks, one file a family, pure ``nn.Module``s: B batch, C channels, T frames."""
