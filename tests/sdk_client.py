"""What every version of the `openai` SDK can do with a server, run as a process of its own so that any version can be.

Usage: python sdk_client.py URL KEY. Prints JSON.
"""

import asyncio
import json
import sys
from typing import Any

import openai

OPTIONS: dict[str, Any] = {"seconds": "4", "size": "720x1280", "extra_body": {"num_inference_steps": 2, "seconds": 1}}
KINDS = {b"\x00\x00\x00": "mp4", b"RIF": "webp", b"\xff\xd8\xff": "jpg"}


def made(client: openai.OpenAI) -> dict[str, Any]:
    video = client.videos.create_and_poll(prompt="a red ball", poll_interval_ms=200, **OPTIONS)
    variants = ("video", "thumbnail", "spritesheet")
    downloads = [client.videos.download_content(video.id, variant=variant).content for variant in variants]
    remix = client.videos.remix(video.id, prompt="at night", extra_body={"num_inference_steps": 2})
    remixed = client.videos.poll(remix.id)
    listed = [item.id for item in client.videos.list(limit=1, order="asc")]
    retrieved = client.videos.retrieve(video.id)
    deleted = client.videos.delete(remix.id)
    return {
        "status": [video.status, remixed.status],
        "downloads": [KINDS.get(content[:3]) for content in downloads],
        "remixed_from": remixed.remixed_from_video_id == video.id,
        "listed": {video.id, remix.id} <= set(listed) and len(listed) == len(set(listed)),
        "fields": [retrieved.size, retrieved.progress, retrieved.model, retrieved.error],
        "deleted": deleted.deleted,
        "gone": refusal(lambda: client.videos.retrieve(remix.id)),
        "refused": refusal(lambda: client.videos.create(prompt="pornography")),
    }


def refusal(call: Any) -> list[Any]:
    try:
        call()
    except openai.APIStatusError as error:
        return [type(error).__name__, error.code]
    return []


async def made_async(client: openai.AsyncOpenAI) -> dict[str, Any]:
    video = await client.videos.create_and_poll(prompt="a blue cube", poll_interval_ms=200, **OPTIONS)
    content = await client.videos.download_content(video.id)
    listed = [item.id async for item in client.videos.list(limit=1)]
    deleted = await client.videos.delete(video.id)
    return {
        "status": video.status,
        "download": KINDS.get((await content.aread())[:3]),
        "listed": video.id in listed,
        "deleted": deleted.deleted,
    }


if __name__ == "__main__":
    options: dict[str, Any] = {"base_url": f"{sys.argv[1]}/v1", "api_key": sys.argv[2], "timeout": 300.0}
    found = {"version": openai.__version__, "sync": made(openai.OpenAI(**options))}
    print(json.dumps({**found, "async": asyncio.run(made_async(openai.AsyncOpenAI(**options)))}))
