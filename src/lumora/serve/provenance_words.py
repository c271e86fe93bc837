"""What is known about the origin of a file, as JSON and in words that need no knowledge of cryptography."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lumora.provenance.manifest import Manifest, ManifestState

STATE_WORDS: dict[ManifestState, str] = {
    "trusted": "The file has a signed record of its origin. It is unchanged, and the signer is trusted here.",
    "intact": "The file has a signed record of its origin. It is unchanged, but the signer is not known here.",
    "expired": "The file is unchanged since it was signed, but the signer's certificate has expired since.",
    "not yet valid": "The file is unchanged since it was signed, but the signer's certificate is not valid yet.",
    "tampered": "The file or its record was changed after it was signed. Do not rely on what the record says.",
    "absent": "The file has no record of its origin. Many programs and sites remove it.",
    "remote": "The record of the file's origin is stored on a server, and nothing is fetched from the network here.",
    "unreadable": "The file or its record of origin cannot be read.",
}
VALIDATION_STATES: dict[ManifestState, str] = {
    "trusted": "trusted",
    "intact": "valid",
    "expired": "invalid",
    "not yet valid": "invalid",
    "tampered": "invalid",
    "unreadable": "invalid",
    "absent": "not_present",
    "remote": "not_present",
}
"""The values of `validation_state` that the SDKs know."""
RELATION_WORDS = {
    "parentOf": "This file is an edited version of it.",
    "componentOf": "It is a part of this file.",
    "inputTo": "The model received it as an input.",
}


def manifest_report(manifest: Manifest) -> dict[str, Any]:
    """The manifest as a tree: what each file says about itself, and the files it was made from."""
    recipe = manifest.recipe
    request = recipe_settings(recipe.get("request"))
    return {
        "state": manifest.state,
        "explanation": STATE_WORDS[manifest.state],
        "problems": list(manifest.problems),
        "signer": manifest.signer,
        "signed_at": manifest.signed_at,
        "valid_from": manifest.valid_from,
        "valid_until": manifest.valid_until,
        "generator": manifest.generator,
        "made_at": _text(recipe.get("made_at")),
        "prompt": request.get("prompt"),
        "seed": request.get("seed"),
        "request": request or None,
        "ingredients": _ingredients(manifest.ingredients),
    }


def recipe_settings(request: Any) -> dict[str, Any]:
    """The request of a recipe in the words of the API, to fill a form with; without its images and videos.

    The recipe may come from a stranger's file: what is not of the right type is left out.
    """
    if not isinstance(request, dict):
        return {}
    settings: dict[str, Any] = {
        name: value for name, kinds in _SETTINGS.items() if type(value := request.get(name)) in kinds
    }
    settings |= {name: _text(settings[name]) for name in ("prompt", "negative_prompt") if name in settings}
    match request.get("size"):
        case {"width": int(width), "height": int(height)}:
            settings["size"] = f"{width}x{height}"
    match request.get("next_shots"):
        case [_, *_] as others:
            shots = [_shot(shot) for shot in (request, *others)]
            settings |= {"shots": [shot for shot in shots if shot is not None]}
    return settings


_SETTINGS: dict[str, tuple[type, ...]] = {
    "prompt": (str,),
    "negative_prompt": (str,),
    "seconds": (int, float),
    "seed": (int,),
    "fps": (int, float),
    "num_inference_steps": (int,),
    "guidance_scale": (int, float),
}


def _shot(shot: Any) -> dict[str, Any] | None:
    match shot:
        case {"prompt": str(prompt), "seconds": int() | float() as seconds}:
            return {"prompt": _text(prompt), "seconds": seconds, "hard_cut": shot.get("hard_cut") is not False}
    return None


def c2pa_result(manifest: Manifest) -> dict[str, Any]:
    """The result of type `c2pa`, as the SDKs parse it."""
    return {
        "type": "c2pa",
        "outcome": "detected" if manifest.recipe_is_intact else "not_detected",
        "validation_state": VALIDATION_STATES[manifest.state],
        "issuer": manifest.signer,
        "model": manifest.generator,
        "generated_at": _text(manifest.recipe.get("made_at")),
        "explanation": STATE_WORDS[manifest.state],
    }


def _ingredients(ingredients: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "title": _text(ingredient.get("title")),
            "relation": ingredient.get("relation"),
            "relation_explanation": RELATION_WORDS.get(ingredient.get("relation") or ""),
            "state": ingredient["state"],
            "explanation": STATE_WORDS[ingredient["state"]],
            "problems": ingredient["problems"],
            "ingredients": _ingredients(ingredient.get("ingredients", ())),
        }
        for ingredient in ingredients
    ]


def _text(value: Any) -> str | None:
    """Other software may have written anything; control characters are removed."""
    if not isinstance(value, str):
        return None
    return "".join(character for character in value if character.isprintable())[:2_000]
