"""A generator of one's own in place of torch's global one: the same numbers, and nobody else's touched."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from onewarp.errors import UsageError
from onewarp.transforms.generator import GeneratorMode, with_generator

DRAWS = {
    "rand": lambda: torch.rand(3, 4),
    "randn": lambda: torch.randn(5, dtype=torch.float64),
    "randint": lambda: torch.randint(9, (7,)),
    "randint from": lambda: torch.randint(3, 9, (7,)),
    "randperm": lambda: torch.randperm(20),
    "rand_like": lambda: torch.rand_like(torch.ones(4)),
    "randn_like": lambda: torch.randn_like(torch.ones(4)),
    "randint_like": lambda: torch.randint_like(torch.ones(4), 2, 9),
    "uniform_": lambda: torch.empty(6).uniform_(-1, 2),
    "normal_": lambda: torch.empty(6).normal_(),
    "bernoulli": lambda: torch.bernoulli(torch.full((9,), 0.5)),
    "bernoulli_": lambda: torch.empty(9).bernoulli_(0.3),
    "exponential_": lambda: torch.empty(9).exponential_(),
    "random_": lambda: torch.empty(9).random_(0, 50),
    "normal": lambda: torch.normal(torch.zeros(5), torch.ones(5)),
    "multinomial": lambda: torch.multinomial(torch.ones(9), 4),
    "poisson": lambda: torch.poisson(torch.full((9,), 3.0)),
    "dropout": lambda: torch.nn.functional.dropout(torch.ones(20)),
    "rrelu": lambda: torch.nn.functional.rrelu(-torch.ones(20), training=True),
    "Beta": lambda: torch.distributions.Beta(0.4, 0.4).sample((5,)),
    "Categorical": lambda: torch.distributions.Categorical(torch.ones(9)).sample((5,)),
    "initial weights": lambda: torch.nn.Linear(4, 3).weight.detach(),
}


@pytest.mark.parametrize("name", DRAWS)
def test_it_gives_what_the_seeded_global_generator_gives_and_leaves_that_alone(name):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        expected = DRAWS[name]()
    state = torch.get_rng_state()
    with GeneratorMode(11):
        drawn, more = DRAWS[name](), DRAWS[name]()
    assert torch.equal(drawn, expected)
    assert not torch.equal(drawn, more)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_generator_that_is_handed_over_is_used():
    with GeneratorMode(1):
        drawn = torch.rand(3, generator=torch.Generator().manual_seed(2))
    assert torch.equal(drawn, torch.rand(3, generator=torch.Generator().manual_seed(2)))


def test_threads_do_not_see_each_others():
    def numbers(seed):
        with GeneratorMode(seed):
            return torch.stack([torch.rand(2) for _ in range(50)])

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(numbers, range(40)))
    assert all(torch.equal(drawn, numbers(seed)) for seed, drawn in enumerate(together))


def test_every_random_operator_takes_a_generator_or_is_refused_by_name():
    """Over all operators that torch tags as random, those of later versions too."""
    refused = set()
    for name in torch._C._dispatch_get_all_op_names():
        library, _, rest = name.partition("::")
        base, _, overload = rest.partition(".")
        function = getattr(getattr(torch.ops.aten, base, None), overload or "default", None)
        if library != "aten" or function is None or torch.Tag.nondeterministic_seeded not in function.tags:
            continue
        try:
            taken = with_generator(function)
        except UsageError:
            refused.add(base)
        else:
            assert "generator" in {argument.name for argument in taken._schema.arguments}
    assert "native_dropout" in refused
    with pytest.raises(UsageError, match=r"aten\.native_dropout\.default draws from torch's global generator"):
        with_generator(torch.ops.aten.native_dropout.default)
    assert not refused & {"rand", "randn", "randint", "randperm", "rand_like", "uniform_", "normal_", "bernoulli"}
