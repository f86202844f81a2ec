import pytest

pytestmark = pytest.mark.filterwarnings("default")  # the libraries' own


def test_lightning_goes_on_from_its_checkpoints_as_if_it_had_not_been_stopped(resume):
    resume("lightning")
