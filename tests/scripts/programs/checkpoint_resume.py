"""Save a checkpoint half-way, go on from it in a new process' stead, and stop early at the best model."""

import copy
import os
import tempfile

import numpy as np
import torch
import torch.nn as nn


class EarlyStopping:
    def __init__(self, patience, path):
        self.patience, self.path = patience, path
        self.best_score, self.counter, self.early_stop = None, 0, False

    def __call__(self, val_loss, model):
        if self.best_score is None or val_loss < self.best_score:
            self.best_score, self.counter = val_loss, 0
            torch.save(model.state_dict(), self.path)
        else:
            self.counter += 1
            self.early_stop = self.counter >= self.patience


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(1, 8, batch_first=True, bidirectional=True)
        self.norm = nn.BatchNorm1d(16)
        self.fc = nn.Linear(16, 1)

    def forward(self, x):
        output, _ = self.rnn(x)
        return self.fc(self.norm(output.mean(dim=1)))


def batches(start, stop):
    for i in range(start, stop):
        rng = np.random.RandomState(i)
        x = rng.uniform(-1, 1, (12, 6, 1)).astype(np.float32)
        yield torch.from_numpy(x), torch.from_numpy(x.max(axis=1))


def train(model, optimizer, scheduler, start, stop):
    model.train()
    losses = []
    for x, y in batches(start, stop):
        loss = nn.functional.smooth_l1_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    return losses


def fresh(seed):
    model = Model()
    rng = np.random.RandomState(seed)
    for p in model.parameters():
        p.data.copy_(torch.from_numpy(rng.uniform(-0.4, 0.4, p.shape)))
    optimizer = torch.optim.NAdam(model.parameters(), lr=0.02)
    return model, optimizer, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=60)


def main():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "checkpoint.pt")
        model, optimizer, scheduler = fresh(0)
        losses = train(model, optimizer, scheduler, 0, 30)
        torch.save(
            {
                "epoch": 30,
                "model_state_dict": model.state_dict(),
                "optimizer_state_dict": optimizer.state_dict(),
                "scheduler": scheduler.state_dict(),
                "loss": losses[-1],
                "vocab": {"a": 0, "b": 1},
                "size": (8, 1),
            },
            path,
        )
        uninterrupted = train(model, optimizer, scheduler, 30, 60)

        model, optimizer, scheduler = fresh(1)  # as if started again
        checkpoint = torch.load(path, map_location="cpu", weights_only=False)
        model.load_state_dict(checkpoint["model_state_dict"])
        optimizer.load_state_dict(checkpoint["optimizer_state_dict"])
        scheduler.load_state_dict(checkpoint["scheduler"])
        assert checkpoint["loss"] == losses[-1] and checkpoint["vocab"] == {"a": 0, "b": 1}
        resumed = train(model, optimizer, scheduler, checkpoint["epoch"], 60)
        assert resumed == uninterrupted  # to the last bit

        best = os.path.join(folder, "best.pt")
        stopping = EarlyStopping(patience=2, path=best)
        model.eval()
        teacher = copy.deepcopy(model)
        x, y = next(batches(1000, 1001))
        with torch.no_grad():
            for step in range(20):
                val_loss = nn.functional.mse_loss(model(x), y).item()
                stopping(val_loss, model)
                if stopping.early_stop:
                    break
                model.fc.bias += 0.1  # from bad to worse
        assert step in (2, 3, 4), step
        model.load_state_dict(torch.load(best))
        with torch.no_grad():
            assert nn.functional.mse_loss(model(x), y).item() == stopping.best_score
            drift = (model.fc.bias - teacher.fc.bias).abs().item()
    return {"losses": losses + resumed, "drift": drift}


if __name__ == "__main__":
    main()
