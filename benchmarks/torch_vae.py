"""The convolutional VAE of experiments.scaling in PyTorch, with the same layers, batch size and optimizer."""

import statistics
import time

import torch
from torch import nn
from torch.nn import functional

VERSION = torch.__version__


class ConvVAE(nn.Module):
    """Two strided convolutions, a Gaussian code and two transposed convolutions."""

    def __init__(self, latents: int = 16, channels: tuple[int, int] = (32, 64), hidden: int = 256):
        super().__init__()
        self.channels = channels
        self.down = nn.Sequential(
            nn.Conv2d(1, channels[0], 3, 2, 1), nn.GELU(), nn.Conv2d(channels[0], channels[1], 3, 2, 1), nn.GELU()
        )
        self.code = nn.Sequential(nn.Linear(49 * channels[1], hidden), nn.GELU(), nn.Linear(hidden, 2 * latents))
        self.back = nn.Sequential(nn.Linear(latents, hidden), nn.GELU(), nn.Linear(hidden, 49 * channels[1]), nn.GELU())
        self.up = nn.Sequential(
            nn.ConvTranspose2d(channels[1], channels[0], 3, 2, 1, 1),
            nn.GELU(),
            nn.ConvTranspose2d(channels[0], 1, 3, 2, 1, 1),
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """The negative ELBO per image."""
        mean, log_variance = self.code(self.down(image).flatten(1)).chunk(2, 1)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        logits = self.up(self.back(z).reshape(-1, self.channels[1], 7, 7)).float()
        reconstruction = functional.binary_cross_entropy_with_logits(logits, image, reduction="none").sum((1, 2, 3))
        kl = 0.5 * (mean**2 + log_variance.exp() - log_variance - 1).float().sum(1)
        return (reconstruction + kl).mean()


def steps_per_second(device: str, compute: str, batch: int, steps: int) -> float:
    """Updates per second in the usual way to run it: ``torch.compile`` on a GPU, eager execution on a CPU."""
    torch.manual_seed(0)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    model = ConvVAE().to(device)
    forward = torch.compile(model) if device == "cuda" else model
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=device == "cuda")
    images = torch.randint(0, 256, (4096, 1, 28, 28), dtype=torch.uint8, device=device)
    half = torch.autocast(device, torch.bfloat16, enabled=compute == "bfloat16")

    def run(count: int) -> None:
        for _ in range(count):
            rows = torch.randint(0, len(images), (batch,), device=device)
            with half:
                loss = forward(images[rows].float() / 255)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()

    chunk = max(steps // 5, 1)
    run(chunk)
    rates = []
    for _ in range(4):
        start = time.perf_counter()
        run(chunk)
        rates.append(chunk / (time.perf_counter() - start))
    return statistics.median(rates)
