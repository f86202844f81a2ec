import pytest

pytest.importorskip("fastai", reason="fastai comes with the group adapters")


@pytest.mark.filterwarnings("default")  # fastai's own
def test_fine_tune_is_fastais_step_by_step():
    from onewarp.benchmarks.train import parity

    result = parity(epochs=2)
    assert result.steps == 36
    assert result.holds, result
