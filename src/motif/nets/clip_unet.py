"""Local denoisers of one clip: the two published ones of SinMDM, and motif's own.

All of them see a few frames to each side and no more: a denoiser that saw the whole clip could only give it back.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .axes import AxesNet


def embedding(t: Float[Tensor, "b"], width: int, longest: float = 10_000.0) -> Float[Tensor, "b w"]:
    """Cosines, then sines, of ``t`` at frequencies from 1 down to 1 / ``longest`` (Ho et al. 2020)."""
    half = width // 2
    angle = t[:, None] * torch.exp(-math.log(longest) * torch.arange(half, device=t.device) / half)
    return torch.cat((angle.cos(), angle.sin()), -1)


def zeroed(layer: nn.Module) -> nn.Module:
    """The same layer with all its parameters zero."""
    for p in layer.parameters():
        nn.init.zeros_(p)
    return layer


# --- SinMDM (Raab et al. 2024), as coded -----------------------------------------------------------------------------
class QnA(nn.Module):
    """Query and attend (Arar et al. 2022): attention in a window of frames, by a query that all windows share."""

    def __init__(self, width: int, heads: int, taps: int = 3):
        super().__init__()
        self.heads, self.taps = heads, taps
        self.value, self.out = nn.Conv1d(width, width, 1), nn.Conv1d(width, width, 1)
        spread = (heads / width) ** 0.5
        self.query = nn.Parameter(torch.randn(width) * spread)
        self.key = nn.Parameter(torch.randn(width, width) * spread)
        self.key_bias = nn.Parameter(torch.zeros(width))
        self.place = nn.Parameter(torch.zeros(heads, 1, taps))

    def forward(self, x: Float[Tensor, "b c t"]) -> Float[Tensor, "b c t"]:
        """The same shape; beyond the ends nothing is attended to."""
        q = self.query.unflatten(0, (self.heads, -1))
        q = q / (q.norm(dim=-1, keepdim=True) + 1e-6) / q.shape[-1] ** 0.5
        keys = torch.einsum("hd,chd->hc", q, self.key.unflatten(1, (self.heads, -1)))
        bias = (self.key_bias.unflatten(0, (self.heads, -1)) * q).sum(-1)
        weight = (torch.einsum("hc,bct->bht", keys, x) + bias[:, None]).exp()
        values = self.value(x).unflatten(1, (self.heads, -1)) * weight[:, :, None]
        kernel, pad, each = self.place.exp(), self.taps // 2, values.shape[2]
        summed = nn.functional.conv1d(
            values.flatten(1, 2), kernel.repeat_interleave(each, 0), padding=pad, groups=self.heads * each
        )
        total = nn.functional.conv1d(weight, kernel, padding=pad, groups=self.heads)
        return self.out((summed.unflatten(1, (self.heads, each)) / total[:, :, None]).flatten(1, 2))


class ResBlock(nn.Module):
    """Group norm, SiLU, convolution, twice; the second norm scaled and shifted by the time (ADM, 2021)."""

    def __init__(self, width: int, out: int, time: int, dropout: float):
        super().__init__()
        self.first = nn.Sequential(nn.GroupNorm(32, width), nn.SiLU(), nn.Conv1d(width, out, 3, padding=1))
        self.time = nn.Sequential(nn.SiLU(), nn.Linear(time, 2 * out))
        self.norm = nn.GroupNorm(32, out)
        self.second = nn.Sequential(nn.SiLU(), nn.Dropout(dropout), zeroed(nn.Conv1d(out, out, 3, padding=1)))
        self.skip = nn.Identity() if width == out else nn.Conv1d(width, out, 1)

    def forward(self, x: Float[Tensor, "b c t"], time: Float[Tensor, "b e"]) -> Float[Tensor, "b d t"]:
        """Same length."""
        scale, shift = self.time(time)[..., None].chunk(2, 1)
        return self.skip(x) + self.second(self.norm(self.first(x)) * (1 + scale) + shift)


class Attended(nn.Module):
    """Group norm and QnA, added to what came in."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm, self.attention = nn.GroupNorm(32, width), QnA(width, heads)

    def forward(self, x: Float[Tensor, "b c t"]) -> Float[Tensor, "b c t"]:
        """The same shape."""
        return x + self.attention(self.norm(x))


class SinUnet(nn.Module):
    """SinMDM's recommended network: a U-Net of one resolution. It sees 11 frames to each side."""

    def __init__(self, channels: int, width: int = 256, dropout: float = 0.5, heads: int = 4):
        super().__init__()
        time = 4 * width
        self.width = width
        self.time = nn.Sequential(nn.Linear(width, time), nn.SiLU(), nn.Linear(time, time))
        self.enter = nn.Conv1d(channels, width, 3, padding=1)
        self.blocks = nn.ModuleList([ResBlock(w, width, time, dropout) for w in (width, width, 2 * width)])
        self.attentions = nn.ModuleList([Attended(width, heads) for _ in self.blocks])
        last = zeroed(nn.Conv1d(width, channels, 3, padding=1))
        self.leave = nn.Sequential(nn.GroupNorm(32, width), nn.SiLU(), last)

    def forward(self, x: Float[Tensor, "b c t"], t: Float[Tensor, "b"]) -> Float[Tensor, "b c t"]:
        """The clean motion that noised motion ``x`` at diffusion step ``t`` is taken for."""
        time = self.time(embedding(t, self.width))
        entered = self.enter(x)
        h = self.attentions[0](self.blocks[0](entered, time))
        h = self.attentions[1](self.blocks[1](h, time))
        h = self.attentions[2](self.blocks[2](torch.cat((h, entered), 1), time))
        return self.leave(h)


class Modulated(nn.Module):
    """Layer norm over channels, scaled and shifted by the time."""

    def __init__(self, width: int, time: int):
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.time = nn.Sequential(nn.SiLU(), nn.Linear(time, 2 * width))

    def forward(self, x: Float[Tensor, "b c t"], time: Float[Tensor, "b e"]) -> Float[Tensor, "b c t"]:
        """The same shape."""
        shift, scale = self.time(time)[..., None].chunk(2, 1)
        return self.norm(x.transpose(1, 2)).transpose(1, 2) * (1 + scale) + shift


class QnABlock(nn.Module):
    """A transformer block with QnA; in training each half is left out for some items (stochastic depth)."""

    def __init__(self, width: int, heads: int, time: int, drop: float):
        super().__init__()
        self.drop = drop
        self.before, self.attention = Modulated(width, time), QnA(width, heads)
        self.between = Modulated(width, time)
        self.mlp = nn.Sequential(nn.Conv1d(width, 4 * width, 1), nn.GELU(), nn.Conv1d(4 * width, width, 1))
        self.gate = nn.Linear(time, 2 * width).requires_grad_(False)  # in the published code, and switched off

    def forward(self, x: Float[Tensor, "b c t"], time: Float[Tensor, "b e"]) -> Float[Tensor, "b c t"]:
        """The same shape."""
        x = x + self._sometimes(self.attention(self.before(x, time)))
        return x + self._sometimes(self.mlp(self.between(x, time)))

    def _sometimes(self, x: Tensor) -> Tensor:
        if not self.training or self.drop == 0:
            return x
        return x * (torch.rand(len(x), 1, 1, device=x.device) >= self.drop) / (1 - self.drop)


class SinQna(nn.Module):
    """SinMDM's network of its released benchmark: eight QnA blocks. It sees 8 frames to each side."""

    def __init__(self, channels: int, width: int = 128, layers: int = 8, drop: float = 0.5, head: int = 32):
        super().__init__()
        time = 4 * width
        self.width = width
        self.time = nn.Sequential(nn.Linear(width, time), nn.SiLU(), nn.Linear(time, time))
        self.enter, self.leave = nn.Conv1d(channels, width, 1), nn.Conv1d(width, channels, 1)
        drops = torch.linspace(0, drop, layers).tolist()
        self.blocks = nn.ModuleList([QnABlock(width, width // head, time, d) for d in drops])
        self.last = Modulated(width, time)

    def forward(self, x: Float[Tensor, "b c t"], t: Float[Tensor, "b"]) -> Float[Tensor, "b c t"]:
        """As :class:`SinUnet`."""
        time = self.time(embedding(t, self.width))
        h = self.enter(x)
        for block in self.blocks:
            h = block(h, time)
        return self.leave(self.last(h, time))


# --- motif's own -----------------------------------------------------------------------------------------------------
class Taps(nn.Linear):
    """Three frames, ``dilation`` apart, to one; channels last, because matrix products are faster than convolutions."""

    def __init__(self, width: int, out: int, dilation: int = 1):
        super().__init__(3 * width, out)
        self.dilation = dilation

    def forward(self, input: Float[Tensor, "b t c"]) -> Float[Tensor, "b t d"]:
        """Same length; zeros beyond the ends."""
        d, frames = self.dilation, input.shape[1]
        wide = nn.functional.pad(input, (0, 0, d, d))
        return super().forward(torch.cat((wide[:, :frames], input, wide[:, 2 * d :]), -1))


class FlowBlock(nn.Module):
    """Residual: norm per frame, scaled and shifted by the time, three taps, mix. It begins as nothing at all."""

    def __init__(self, width: int, dilation: int, time: int):
        super().__init__()
        self.look, self.mix = Taps(width, width, dilation), nn.Linear(width, width)
        self.time = nn.Linear(time, 2 * width)
        zeroed(self.mix)
        zeroed(self.time)

    def forward(self, x: Float[Tensor, "b t c"], time: Float[Tensor, "b e"]) -> Float[Tensor, "b t c"]:
        """The same shape."""
        scale, shift = self.time(time)[:, None].chunk(2, -1)
        h = nn.functional.layer_norm(x, x.shape[-1:])
        h = nn.functional.silu(torch.addcmul(shift, h, 1 + scale))
        return x + self.mix(nn.functional.silu(self.look(h)))


class FlowNet(AxesNet):
    """A local velocity field over K axes at a coarse rate (flow matching, Lipman et al. 2023)."""

    TIME = 64

    def __init__(self, features: int, axes: int, width: int, dilations: Sequence[int]):
        super().__init__(features, axes)
        self.enter, self.leave = Taps(axes, width), zeroed(nn.Linear(width, axes))
        self.blocks = nn.ModuleList([FlowBlock(width, d, self.TIME) for d in dilations])
        self.time = nn.Sequential(nn.Linear(32, self.TIME), nn.SiLU(), nn.Linear(self.TIME, self.TIME), nn.SiLU())

    def forward(self, x: Float[Tensor, "b t k"], t: Float[Tensor, "b"]) -> Float[Tensor, "b t k"]:
        """Velocity from noise (``t`` = 0) to motion (1)."""
        time = self.time(embedding(150 * t, 32, 150.0))
        h = self.enter(x)
        for block in self.blocks:
            h = block(h, time)
        return self.leave(nn.functional.silu(h))
