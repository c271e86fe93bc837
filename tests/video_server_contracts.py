"""What the video routers of other servers take and answer, recorded from the source code of their releases."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class VideoServerContract:
    """The part of a server's router that a client sees."""

    release: str
    """Package and version."""
    source: str
    """Files of the package that it is recorded from."""
    owned_by: str
    """In /v1/models."""
    form: dict[str, type]
    """Fields of the multipart form of POST /v1/videos that lumora may send, with their types."""
    server_paths: frozenset[str]
    """Fields that name files of the server; they must never be sent."""
    job: dict[str, Any]
    """Fields of a job beside id, status, progress, size, seconds, and created_at. A list holds what may be null."""
    running: tuple[str, int]
    """Status and progress while a video is made."""
    failed_code: int
    """Status code of GET for a failed job; its body is the job in any case."""
    failed_content_code: int
    """Status code of the content of a failed job."""
    deleted: dict[str, Any]
    """What DELETE answers, beside the id."""
    stops_deleted: bool
    """Whether a running job that is deleted is stopped."""


_FORM: dict[str, type] = {
    "prompt": str,
    "input_reference": bytes,
    "model": str,
    "size": str,
    "seconds": int,
    "fps": int,
    "num_frames": int,
    "seed": int,
    "negative_prompt": str,
    "num_inference_steps": int,
    "guidance_scale": float,
}

CONTRACTS: dict[str, VideoServerContract] = {
    "sglang": VideoServerContract(
        release="sglang 0.5.23",
        source="sglang/multimodal_gen/runtime/entrypoints/openai/video_api.py, protocol.py, common_api.py",
        owned_by="sglang",
        form=_FORM,
        server_paths=frozenset({"output_path", "perf_dump_path", "video_path", "frame_interpolation_model_path"}),
        job={
            "object": "video",
            "model": "sora-2",
            "quality": "standard",
            "url": None,
            "urls": None,
            "error": None,
            "file_path": "/srv/outputs/secret.mp4",
            "file_paths": ["/srv/outputs/secret.mp4"],
        },
        running=("in_progress", 50),
        failed_code=200,
        failed_content_code=404,
        deleted={"object": "video", "status": "deleted"},
        stops_deleted=False,
    ),
    "vllm": VideoServerContract(
        release="vllm-omni 0.30.0",
        source="vllm_omni/entrypoints/openai/api_server.py, protocol/videos.py, video/generation/helpers.py",
        owned_by="vllm",
        form={**_FORM, "fps": float},
        server_paths=frozenset({"frame_interpolation_model_path"}),
        job={
            "object": "video",
            "model": "Wan-AI/Wan2.1-T2V-1.3B-Diffusers",
            "prompt": "a red ball",
            "quality": "default",
            "media_type": "video/mp4",
            "remixed_from_video_id": None,
            "expires_at": None,
            "error": None,
            "file_name": None,
        },
        running=("in_progress", 0),
        failed_code=500,
        failed_content_code=422,
        deleted={"object": "video.deleted", "deleted": True},
        stops_deleted=True,
    ),
    "fastvideo": VideoServerContract(
        release="fastvideo 0.2.1",
        source="fastvideo/entrypoints/openai/video_api.py, protocol.py, common_api.py",
        owned_by="fastvideo",
        form=_FORM,
        server_paths=frozenset({"output_path"}),
        job={
            "object": "video",
            "model": "Wan-AI/Wan2.1-T2V-1.3B-Diffusers",
            "quality": "standard",
            "url": None,
            "error": None,
            "file_path": "/srv/outputs/secret.mp4",
        },
        running=("queued", 0),
        failed_code=200,
        failed_content_code=500,
        deleted={"object": "video", "status": "deleted"},
        stops_deleted=False,
    ),
}
