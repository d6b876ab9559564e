"""Trains a little, with an experiment tracker of its own; knows nothing of libaccount.

python tracked.py TRACKER FOLDER [--breaks] [--says]

With --says it knows one word of it: how many tokens a step takes in. Prints, as JSON, what that
tracker itself says that it holds.
"""

import json
import pathlib
import sys
import time

import torch

tracker, folder = sys.argv[1], pathlib.Path(sys.argv[2])
breaks = "--breaks" in sys.argv
says = "--says" in sys.argv
model = torch.nn.Linear(64, 64)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)


def train(log) -> None:
    for step in range(4):
        loss = model(torch.ones(8, 64)).square().mean()
        loss.backward()
        if says:
            import libaccount

            libaccount.start().processed(samples=8, tokens=512)
        optimizer.step()
        optimizer.zero_grad()
        log({"loss": loss.item()}, step)
        time.sleep(0.3)
    time.sleep(2.5)  # until the keeper has shown the last step
    optimizer.step()  # without gradients: a step that adds nothing
    log({"loss": 0.0}, 4)


def with_tensorboard() -> dict:
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(folder)
    if breaks:
        def refuse(*_: object, **__: object) -> None:
            raise RuntimeError("the disk is full")

        writer.add_text = refuse
    train(lambda values, step: writer.add_scalar("loss", values["loss"], step))
    writer.close()

    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    texts = [events.Tensors(tag)[-1].tensor_proto.string_val[0].decode()
             for tag in events.Tags()["tensors"]]
    return {"scalars": {tag: events.Scalars(tag)[-1].value for tag in events.Tags()["scalars"]},
            "exact": texts[0] if texts else None}


def with_mlflow() -> dict:
    import mlflow

    mlflow.set_tracking_uri((folder / "mlruns").as_uri())
    with mlflow.start_run() as run:
        train(lambda values, step: mlflow.log_metrics(values, step=step))
    data = mlflow.get_run(run.info.run_id).data
    return {"scalars": data.metrics, "exact": data.tags["account.operations"]}


def with_trackio() -> dict:
    import trackio

    run = trackio.init(project="p")
    train(lambda values, step: run.log(values))
    trackio.finish()

    from trackio.sqlite_storage import SQLiteStorage

    rows = SQLiteStorage.get_logs("p", run.name)
    held = {name: value for row in rows for name, value in row.items()}
    return {"scalars": {name: value for name, value in held.items()
                        if isinstance(value, (int, float))},
            "exact": held["account/operations"]}


def with_wandb() -> dict:
    import wandb

    run = wandb.init(project="p", mode="offline", dir=str(folder))
    train(lambda values, step: run.log(values))
    held = dict(run.summary)
    rows = run.step
    run.finish()
    return {"scalars": {name: value for name, value in held.items()
                        if isinstance(value, (int, float))},
            "exact": held["account/operations"], "rows": rows}


def with_opentelemetry() -> dict:
    from opentelemetry import metrics
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    if breaks:
        def refuse(*_: object, **__: object) -> None:
            raise RuntimeError("no such meter")

        provider.get_meter = refuse
    metrics.set_meter_provider(provider)
    train(lambda *_: None)
    if breaks:
        return {"scalars": {}}
    (resource,) = reader.get_metrics_data().resource_metrics
    points = {metric.name: metric.data.data_points[0].value
              for scope in resource.scope_metrics for metric in scope.metrics}
    return {"scalars": points, "exact": str(points["account.operations"])}


print(json.dumps(globals()[f"with_{tracker}"]()))
