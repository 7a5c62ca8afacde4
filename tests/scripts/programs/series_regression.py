"""Forecast a seasonal series: sliding windows, loaders, BatchNorm, Dropout, schedulers, the best model."""

import copy

import numpy as np
import torch
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau, StepLR
from torch.utils.data import DataLoader, TensorDataset, random_split


def sliding_windows(data, seq_length):
    x, y = [], []
    for i in range(len(data) - seq_length):
        x.append(data[i : i + seq_length])
        y.append(data[i + seq_length])
    return np.array(x), np.array(y)


class Forecaster(nn.Module):
    def __init__(self, input_size, hidden_size, num_layers, dropout):
        super().__init__()
        self.lstm = nn.LSTM(input_size, hidden_size, num_layers, batch_first=True, dropout=dropout)
        self.head = nn.Sequential(
            nn.Linear(hidden_size, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, 1)
        )

    def forward(self, x):
        _, (h_n, _) = self.lstm(x)
        return self.head(h_n[-1])


def epoch(model, loader, loss_fn, optimizer=None):
    model.train(optimizer is not None)
    total, count = 0.0, 0
    with torch.set_grad_enabled(optimizer is not None):
        for x_batch, y_batch in loader:
            loss = loss_fn(model(x_batch), y_batch)
            if optimizer is not None:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            total += loss.item() * len(x_batch)
            count += len(x_batch)
    return total / count


def main():
    torch.manual_seed(0)
    t = np.arange(160)
    series = np.sin(2 * np.pi * t / 12) + 0.01 * t + 0.05 * np.random.RandomState(0).randn(160)
    low, high = series.min(), series.max()
    x, y = sliding_windows(((series - low) / (high - low))[:, None], seq_length=12)
    inputs, targets = torch.from_numpy(x).float(), torch.tensor(y, dtype=torch.float32)
    dataset = TensorDataset(inputs, targets)
    n_val = int(0.2 * len(dataset))
    train_set, val_set = random_split(
        dataset, [len(dataset) - n_val, n_val], generator=torch.Generator().manual_seed(42)
    )
    train_loader = DataLoader(train_set, batch_size=16, shuffle=True, drop_last=True)
    val_loader = DataLoader(val_set, batch_size=64)

    model = Forecaster(1, 12, 2, dropout=0.05)
    print(model)
    print("parameters:", sum(p.numel() for p in model.parameters() if p.requires_grad))
    loss_fn = nn.MSELoss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.02, weight_decay=1e-4)
    step = StepLR(optimizer, step_size=7, gamma=0.5)
    plateau = ReduceLROnPlateau(optimizer, mode="min", factor=0.5, patience=3)
    best, best_loss, losses = None, float("inf"), []
    for i in range(18):
        losses.append(epoch(model, train_loader, loss_fn, optimizer))
        val_loss = epoch(model, val_loader, loss_fn)
        step.step()
        plateau.step(val_loss)
        if val_loss < best_loss:
            best_loss, best = val_loss, copy.deepcopy(model)
        print(f"{i:3d} train {losses[-1]:.5f} val {val_loss:.5f} lr {optimizer.param_groups[0]['lr']:.4f}")
    assert optimizer.param_groups[0]["lr"] <= 0.02 * 0.25
    model.lstm.weight_hh_l0.data.zero_()  # the copy lives on its own
    best.eval()
    with torch.no_grad():
        predicted = best(inputs).data.numpy()
    assert epoch(best, val_loader, loss_fn) == best_loss
    naive = float(((inputs[:, -1] - targets) ** 2).mean())
    print("rmse %.4f, naive %.4f" % (np.sqrt(np.mean((predicted - y) ** 2)), np.sqrt(naive)))
    return {"losses": losses, "best": best_loss, "ratio": best_loss / naive}


if __name__ == "__main__":
    main()
