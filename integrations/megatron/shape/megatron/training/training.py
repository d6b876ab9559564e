"""pretrain() and what it calls, in Megatron-LM's order and by its names."""

import torch

from .checkpointing import load_checkpoint, save_checkpoint
from .global_vars import get_args, set_args


def pretrain(args, train_valid_test_dataset_provider, model_provider, forward_step_func):
    set_args(args)
    torch.distributed.init_process_group("gloo")
    torch.manual_seed(0)
    model = [model_provider()]
    # As an optimizer of megatron.core that has several inner ones, of experts for example.
    optimizer = [torch.optim.Adam(part.parameters()) for part in model[0]]
    train_data, valid_data = train_valid_test_dataset_provider()
    iteration, _ = load_checkpoint(model, optimizer, None)
    train(forward_step_func, model, optimizer, None, train_data, valid_data, iteration)
    torch.distributed.destroy_process_group()


def train(forward_step_func, model, optimizer, opt_param_scheduler, train_data, valid_data,
          iteration):
    args = get_args()
    while iteration < args.train_iters:
        train_step(forward_step_func, iter([train_data[iteration % len(train_data)]]), model,
                   optimizer, opt_param_scheduler, None, None, iteration=iteration)
        iteration += 1
        if iteration % args.eval_interval == 0:
            evaluate(forward_step_func, iter(valid_data), model, None, None)
        if iteration % args.save_interval == 0:
            save_checkpoint(iteration, model, optimizer, opt_param_scheduler, 0)


def train_step(forward_step_func, data_iterator, model, optimizer, opt_param_scheduler, config,
               forward_backward_func, iteration=None):
    for one in optimizer:
        one.zero_grad()
    loss = forward_step_func(data_iterator, model[0])
    loss.backward()
    for chunk in model:
        for parameter in chunk.parameters():
            torch.distributed.all_reduce(parameter.grad)
    for one in optimizer:
        one.step()
    return {"loss": loss.detach()}, 0, False, False, 0, None, None, 0


def evaluate(forward_step_func, data_iterator, model, process_non_loss_data_func, config):
    with torch.no_grad():
        return forward_step_func(data_iterator, model[0]), None, False
