"""A device that is not there: tensors that were brought to it may not be mixed with others, nor read where they are."""

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("meta")


def is_device(value):
    return isinstance(value, torch.device) and value == DEVICE


def undisturbed(function):
    """The function, under which tensors lie where they really are."""

    def called(*arguments):
        with torch._C.DisableTorchFunction():
            return function(*arguments)

    return called


class Elsewhere(TorchFunctionMode):
    """Computes on the processor, and keeps account of what would lie elsewhere."""

    def __init__(self):
        super().__init__()
        self.storages = {}
        self.calls = 0

    def is_there(self, value):
        return value.untyped_storage()._cdata in self.storages

    def put(self, value):
        storage = value.untyped_storage()
        self.storages[storage._cdata] = storage  # held, so that no other gets its address
        return value

    def __torch_function__(self, function, types, arguments=(), named=None):
        named = named or {}
        with torch._C.DisableTorchFunction():
            return self.called(function, arguments, named)

    def called(self, function, arguments, named):
        tensors = [one for one in tree_leaves((arguments, named)) if isinstance(one, torch.Tensor)]
        there = [self.is_there(one) for one in tensors]
        if function == torch.Tensor.device.__get__:
            return DEVICE if any(there) else torch.device("cpu")
        if function is torch.Tensor.cpu:
            return arguments[0].clone()
        if function is torch.Tensor.numpy:
            assert not any(there), "numpy reads no tensor that lies elsewhere"
        scalars = [one.ndim == 0 for one in tensors]
        if function is not torch.Tensor.copy_:
            assert not any(there) or all(a or b for a, b in zip(there, scalars, strict=True)), f"{function}: mixed"
        to = any(is_device(one) for one in tree_leaves((arguments, named)))
        arguments, named = tree_map(lambda one: torch.device("cpu") if is_device(one) else one, (arguments, named))
        found = function(*arguments, **named)
        if to and function is torch.Tensor.to:
            found = found.clone() if found is arguments[0] else found
        if to or any(there):
            self.calls += 1
            for one in tree_leaves(found):
                if isinstance(one, torch.Tensor):
                    self.put(one)
        return found
