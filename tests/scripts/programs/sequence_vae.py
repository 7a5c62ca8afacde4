"""A variational autoencoder of short sequences: GRU encoder and decoder, reparametrization, KL annealing."""

import torch
from torch import nn, optim
from torch.nn import functional as F

T, HIDDEN, LATENT = 8, 16, 2


class VAE(nn.Module):
    def __init__(self):
        super(VAE, self).__init__()
        self.encoder = nn.GRU(1, HIDDEN)
        self.mu = nn.Linear(HIDDEN, LATENT)
        self.logvar = nn.Linear(HIDDEN, LATENT)
        self.start = nn.Linear(LATENT, HIDDEN)
        self.decoder = nn.GRUCell(1, HIDDEN)
        self.out = nn.Linear(HIDDEN, 1)

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        eps = torch.randn_like(std)
        return eps.mul(std).add_(mu)

    def decode(self, z):
        h = torch.tanh(self.start(z))
        x, xs = z.new_zeros(z.shape[0], 1), []
        for _ in range(T):
            h = self.decoder(x, h)
            x = self.out(h)
            xs.append(x)
        return torch.stack(xs)

    def forward(self, xs):
        _, h = self.encoder(xs)
        mu, logvar = self.mu(h[0]), self.logvar(h[0]).clamp(-8, 4)
        return self.decode(self.reparameterize(mu, logvar)), mu, logvar


def kl_divergence(mu, logvar):
    return -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp()) / mu.size(0)


def waves(n):
    phase, size = torch.rand(n) * 6.2832, 0.5 + torch.rand(n)
    t = torch.arange(T).float().unsqueeze(1)
    return (size * torch.sin(t * 0.8 + phase)).unsqueeze(-1)


def main():
    torch.manual_seed(3)
    model = VAE()
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    scheduler = optim.lr_scheduler.LambdaLR(optimizer, lambda e: 0.99**e)
    losses, divergences = [], []
    for step in range(130):
        xs = waves(32)
        recon, mu, logvar = model(xs)
        beta = min(1.0, step / 100) * 0.05
        mse = F.mse_loss(recon, xs, reduction="sum") / xs.size(1)
        kl = kl_divergence(mu, logvar)
        optimizer.zero_grad()
        (mse + beta * kl).backward()
        optimizer.step()
        scheduler.step()
        losses.append(mse.item())
        divergences.append(kl.item())
    model.eval()
    with torch.no_grad():
        sample = model.decode(torch.randn(64, LATENT))
        xs = waves(200)
        z = model.mu(model.encoder(xs)[1][0])
        recon = model.decode(z)
    assert sample.shape == (T, 64, 1) and min(divergences) >= 0
    variance = xs.var(unbiased=False).item() * T
    return {"losses": losses, "unexplained": F.mse_loss(recon, xs).item() * T / variance, "kl": kl.item()}


if __name__ == "__main__":
    main()
