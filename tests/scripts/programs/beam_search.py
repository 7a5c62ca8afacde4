"""A decoder that learns which letters follow, searched greedily, by beams, and from a priority queue."""

from heapq import heappop, heappush

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

WORDS = ["abaca", "abacus", "bacab", "cubab", "subac", "caba"]
LETTERS = ["<", ">", *sorted(set("".join(WORDS)))]  # start, end
END = 1


class Decoder(nn.Module):
    def __init__(self, n_letters, size):
        super().__init__()
        self.embed = nn.Embedding(n_letters, size)
        self.cell = nn.LSTMCell(size, size)
        self.out = nn.Linear(size, n_letters)

    def forward(self, letters, state=None):
        h, c = self.cell(self.embed(letters), state)
        return F.log_softmax(self.out(h), dim=-1), (h, c)


@torch.no_grad()
def beams(model, width, steps):
    """The best (log likelihood, letters) of `width` that grow side by side."""
    letters, scores, state, done = torch.zeros(1, 1, dtype=torch.long), torch.zeros(1), None, []
    for _ in range(steps):
        log_p, state = model(letters[:, -1], state)
        total = scores.unsqueeze(1) + log_p
        scores, flat = total.view(-1).topk(min(width, total.numel()))
        beam, letter = torch.div(flat, log_p.size(1), rounding_mode="floor"), flat % log_p.size(1)
        letters, state = torch.cat([letters[beam], letter[:, None]], dim=1), tuple(s[beam] for s in state)
        ended = letter.eq(END)
        done += zip(scores[ended].tolist(), letters[ended].tolist())
        going = (~ended).nonzero(as_tuple=True)[0]
        letters, scores, state = letters[going], scores[going], tuple(s.index_select(0, going) for s in state)
        if not going.numel():
            break
    return max(done)


@torch.no_grad()
def best_first(model, limit=2000):
    """The most likely sequence of all, because a log likelihood never grows."""
    queue, count = [(0.0, 0, [0], None)], 0
    while queue and count < limit:
        cost, _, letters, state = heappop(queue)
        if letters[-1] == END:
            return -cost, letters
        log_p, state = model(torch.LongTensor([letters[-1]]), state)
        for letter, value in enumerate(log_p[0].tolist()):
            count += 1
            heappush(queue, (cost - value, count, [*letters, letter], state))
    raise RuntimeError("not found")


def sample(model, temperature, steps):
    """Letters drawn from the model, and the gradient's way through them (straight-through Gumbel)."""
    x, state, text = model.embed(torch.tensor([0])), None, []
    for _ in range(steps):
        state = model.cell(x, state)
        one_hot = F.gumbel_softmax(model.out(state[0]), tau=temperature, hard=True)
        x = one_hot @ model.embed.weight
        text.append(one_hot.argmax().item())
        if text[-1] == END:
            break
    return text, one_hot


def main():
    torch.manual_seed(0)
    index = {letter: i for i, letter in enumerate(LETTERS)}
    longest = max(map(len, WORDS)) + 1
    rows = [[index[c] for c in f"<{word}>"] + [-100] * (longest - len(word) - 1) for word in WORDS]
    data = torch.tensor(rows)
    model, rng = Decoder(len(LETTERS), 16), np.random.default_rng(0)
    for p in model.parameters():
        p.data = torch.tensor(rng.uniform(-0.4, 0.4, p.shape), dtype=torch.float32)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=0.01)
    losses = []
    for _ in range(40):
        state, loss = None, 0.0
        for t in range(data.size(1) - 1):
            log_p, state = model(data[:, t].clamp(min=0), state)
            loss += F.nll_loss(log_p, data[:, t + 1], reduction="sum")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item() / (data > 0).sum().item())
    found = [beams(model, width, 10) for width in (1, 3, 12)]
    best = best_first(model)
    assert abs(found[-1][0] - best[0]) < 1e-4 and found[-1][1] == best[1]
    text, last = sample(model, 0.5, 10)
    model.zero_grad()
    last.max().backward()
    assert all(0 <= i < len(LETTERS) for i in text) and model.embed.weight.grad.abs().sum() >= 0
    word = "".join(LETTERS[i] for i in best[1][1:-1])
    return {"losses": losses, "known": float(word in WORDS), "greedy_is_worse_by": best[0] - found[0][0]}


if __name__ == "__main__":
    main()
