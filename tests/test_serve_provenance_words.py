"""The recipe of a stranger's file, in the words of the API."""

import pytest

from lumora.config import Resolution
from lumora.request.conditions import Shot
from lumora.request.serialization import to_recipe
from lumora.request.spec import Request
from lumora.serve.provenance_words import recipe_settings


def test_a_request_comes_back_as_the_fields_of_the_api() -> None:
    request = Request("a ball", 2.0, Resolution(80, 48), seed=7, num_inference_steps=4, negative_prompt="snow")
    assert recipe_settings(to_recipe(request)) == {
        "prompt": "a ball",
        "negative_prompt": "snow",
        "seconds": 2.0,
        "size": "80x48",
        "seed": 7,
        "num_inference_steps": 4,
    }


def test_shots_begin_with_the_first() -> None:
    request = Request("a ball", 2.0, next_shots=(Shot("a cube", 1.0, False),))
    assert recipe_settings(to_recipe(request))["shots"] == [
        {"prompt": "a ball", "seconds": 2.0, "hard_cut": True},
        {"prompt": "a cube", "seconds": 1.0, "hard_cut": False},
    ]


@pytest.mark.parametrize("request_", [None, [], {"prompt": ["a"], "seed": "7", "size": 3}, {"next_shots": {"a": 1}}])
def test_what_has_another_type_is_left_out(request_: object) -> None:
    assert recipe_settings(request_) == {}


def test_a_boolean_is_no_number() -> None:
    assert recipe_settings({"seed": True, "seconds": False}) == {}
