"""The networks of SinMDM (Raab et al. 2024), as coded: denoisers that see a few frames to each side of a frame."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..nn.layers import timestep_embedding, zero_init


class QnA(nn.Module):
    """Query and attend (Arar et al. 2022): attention within a window of frames, with one learned query for all."""

    def __init__(self, width: int, heads: int, taps: int = 3):
        super().__init__()
        self.heads, self.taps = heads, taps
        self.value, self.out_proj = nn.Conv1d(width, width, 1), nn.Conv1d(width, width, 1)
        spread = (heads / width) ** 0.5
        self.query = nn.Parameter(torch.randn(width) * spread)
        self.key = nn.Parameter(torch.randn(width, width) * spread)
        self.key_bias = nn.Parameter(torch.zeros(width))
        self.position_bias = nn.Parameter(torch.zeros(heads, 1, taps))

    def forward(self, x: Float[Tensor, "b c t"]) -> Float[Tensor, "b c t"]:
        """Return a tensor of the same shape; there are no keys beyond the ends."""
        q = self.query.unflatten(0, (self.heads, -1))
        q = q / (q.norm(dim=-1, keepdim=True) + 1e-6) / q.shape[-1] ** 0.5
        keys = torch.einsum("hd,chd->hc", q, self.key.unflatten(1, (self.heads, -1)))
        bias = (self.key_bias.unflatten(0, (self.heads, -1)) * q).sum(-1)
        weight = (torch.einsum("hc,bct->bht", keys, x) + bias[:, None]).exp()
        values = self.value(x).unflatten(1, (self.heads, -1)) * weight[:, :, None]
        kernel, pad, each = self.position_bias.exp(), self.taps // 2, values.shape[2]
        summed = nn.functional.conv1d(
            values.flatten(1, 2), kernel.repeat_interleave(each, 0), padding=pad, groups=self.heads * each
        )
        total = nn.functional.conv1d(weight, kernel, padding=pad, groups=self.heads)
        return self.out_proj((summed.unflatten(1, (self.heads, each)) / total[:, :, None]).flatten(1, 2))


class ResBlock(nn.Module):
    """Twice group norm, SiLU and convolution; the second norm is modulated by time (ADM, Dhariwal and Nichol 2021)."""

    def __init__(self, width: int, out: int, time: int, dropout: float):
        super().__init__()
        self.in_layers = nn.Sequential(nn.GroupNorm(32, width), nn.SiLU(), nn.Conv1d(width, out, 3, padding=1))
        self.time = nn.Sequential(nn.SiLU(), nn.Linear(time, 2 * out))
        self.norm = nn.GroupNorm(32, out)
        self.out_layers = nn.Sequential(nn.SiLU(), nn.Dropout(dropout), zero_init(nn.Conv1d(out, out, 3, padding=1)))
        self.skip = nn.Identity() if width == out else nn.Conv1d(width, out, 1)

    def forward(self, x: Float[Tensor, "b c t"], time: Float[Tensor, "b e"]) -> Float[Tensor, "b d t"]:
        """Return a tensor of the same length."""
        scale, shift = self.time(time)[..., None].chunk(2, 1)
        return self.skip(x) + self.out_layers(self.norm(self.in_layers(x)) * (1 + scale) + shift)


class AttentionBlock(nn.Module):
    """Residual block of group norm and QnA."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm, self.attention = nn.GroupNorm(32, width), QnA(width, heads)

    def forward(self, x: Float[Tensor, "b c t"]) -> Float[Tensor, "b c t"]:
        """Return a tensor of the same shape."""
        return x + self.attention(self.norm(x))


class SinUnet(nn.Module):
    """SinMDM's recommended network: a U-Net of one resolution, with a receptive field of 23 frames."""

    def __init__(self, channels: int, width: int = 256, dropout: float = 0.5, heads: int = 4):
        super().__init__()
        time = 4 * width
        self.width = width
        self.time = nn.Sequential(nn.Linear(width, time), nn.SiLU(), nn.Linear(time, time))
        self.in_proj = nn.Conv1d(channels, width, 3, padding=1)
        self.blocks = nn.ModuleList([ResBlock(w, width, time, dropout) for w in (width, width, 2 * width)])
        self.attentions = nn.ModuleList([AttentionBlock(width, heads) for _ in self.blocks])
        last = zero_init(nn.Conv1d(width, channels, 3, padding=1))
        self.out_proj = nn.Sequential(nn.GroupNorm(32, width), nn.SiLU(), last)

    def forward(self, x: Float[Tensor, "b c t"], t: Float[Tensor, "b"]) -> Float[Tensor, "b c t"]:
        """Predict the clean motion from ``x``, noised to diffusion step ``t``."""
        time = self.time(timestep_embedding(t, self.width))
        skip = self.in_proj(x)
        h = self.attentions[0](self.blocks[0](skip, time))
        h = self.attentions[1](self.blocks[1](h, time))
        h = self.attentions[2](self.blocks[2](torch.cat((h, skip), 1), time))
        return self.out_proj(h)


class AdaLayerNorm(nn.Module):
    """Layer norm over channels, modulated by time."""

    def __init__(self, width: int, time: int):
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.time = nn.Sequential(nn.SiLU(), nn.Linear(time, 2 * width))

    def forward(self, x: Float[Tensor, "b c t"], time: Float[Tensor, "b e"]) -> Float[Tensor, "b c t"]:
        """Return a tensor of the same shape."""
        shift, scale = self.time(time)[..., None].chunk(2, 1)
        return self.norm(x.transpose(1, 2)).transpose(1, 2) * (1 + scale) + shift


class QnABlock(nn.Module):
    """A transformer block with QnA and stochastic depth."""

    def __init__(self, width: int, heads: int, time: int, drop: float):
        super().__init__()
        self.drop = drop
        self.norm1, self.attention = AdaLayerNorm(width, time), QnA(width, heads)
        self.norm2 = AdaLayerNorm(width, time)
        self.mlp = nn.Sequential(nn.Conv1d(width, 4 * width, 1), nn.GELU(), nn.Conv1d(4 * width, width, 1))
        self.gate = nn.Linear(time, 2 * width).requires_grad_(False)  # unused, as in the published code

    def forward(self, x: Float[Tensor, "b c t"], time: Float[Tensor, "b e"]) -> Float[Tensor, "b c t"]:
        """Return a tensor of the same shape."""
        x = x + self._drop_path(self.attention(self.norm1(x, time)))
        return x + self._drop_path(self.mlp(self.norm2(x, time)))

    def _drop_path(self, x: Tensor) -> Tensor:
        if not self.training or self.drop == 0:
            return x
        return x * (torch.rand(len(x), 1, 1, device=x.device) >= self.drop) / (1 - self.drop)


class SinQna(nn.Module):
    """SinMDM's network of its released benchmark: eight QnA blocks, with a receptive field of 17 frames."""

    def __init__(self, channels: int, width: int = 128, layers: int = 8, drop: float = 0.5, head: int = 32):
        super().__init__()
        time = 4 * width
        self.width = width
        self.time = nn.Sequential(nn.Linear(width, time), nn.SiLU(), nn.Linear(time, time))
        self.in_proj, self.out_proj = nn.Conv1d(channels, width, 1), nn.Conv1d(width, channels, 1)
        drops = torch.linspace(0, drop, layers).tolist()
        self.blocks = nn.ModuleList([QnABlock(width, width // head, time, d) for d in drops])
        self.out_norm = AdaLayerNorm(width, time)

    def forward(self, x: Float[Tensor, "b c t"], t: Float[Tensor, "b"]) -> Float[Tensor, "b c t"]:
        """Predict the clean motion, as :class:`SinUnet` does."""
        time = self.time(timestep_embedding(t, self.width))
        h = self.in_proj(x)
        for block in self.blocks:
            h = block(h, time)
        return self.out_proj(self.out_norm(h, time))
