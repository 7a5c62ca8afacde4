"""From samples to batches: datasets, the order they are visited in, and loaders that batch them."""

from .collate import default_collate, default_convert
from .dataloader import DataLoader
from .dataset import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    random_split,
)
from .languages import AnBnTask, DyckTask, EmbeddedReberTask, LanguageTask, ReberTask
from .sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from .streams import StreamLoader
from .tasks import AddingTask, CopyTask, ParityTask, Task, TaskBatch, TemporalOrderTask
from .worker import WorkerInfo, get_worker_info

__all__ = [
    "AddingTask",
    "AnBnTask",
    "BatchSampler",
    "ChainDataset",
    "ConcatDataset",
    "CopyTask",
    "DataLoader",
    "Dataset",
    "DyckTask",
    "EmbeddedReberTask",
    "IterableDataset",
    "LanguageTask",
    "ParityTask",
    "RandomSampler",
    "ReberTask",
    "Sampler",
    "SequentialSampler",
    "StreamLoader",
    "Subset",
    "SubsetRandomSampler",
    "Task",
    "TaskBatch",
    "TemporalOrderTask",
    "TensorDataset",
    "WeightedRandomSampler",
    "WorkerInfo",
    "default_collate",
    "default_convert",
    "get_worker_info",
    "random_split",
]
