"""What `make docs` writes is what the code says."""

import pytest

from tools.docs import commands, layers


def test_the_reference_of_commands_is_up_to_date() -> None:
    assert commands.PAGE.read_text(encoding="utf-8") == commands.render(), "run `make docs`"


def test_the_picture_of_the_layers_is_up_to_date() -> None:
    assert layers.PICTURE.read_text(encoding="utf-8") == layers.render(), "run `make docs`"


@pytest.mark.parametrize("layer", layers.layers())
def test_every_layer_fits_the_picture(layer: str) -> None:
    assert 10 < len(layers.about(layer)) <= 120
