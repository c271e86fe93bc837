"""The list of all metrics. The runner, the screen, the JSON file and the page iterate over it.

To add a metric, write a function from `EvaluationData` to `MetricResult` and add it here.
"""

from __future__ import annotations

from lumora.evaluate.metric import Metric
from lumora.evaluate.metrics.camera_control import camera_control
from lumora.evaluate.metrics.consequences import events_and_relations
from lumora.evaluate.metrics.continuation_error import continuation_error
from lumora.evaluate.metrics.image_quality import diversity, image_quality
from lumora.evaluate.metrics.memorization import memorization
from lumora.evaluate.metrics.multi_shot_consistency import multi_shot_consistency
from lumora.evaluate.metrics.out_of_distribution import out_of_distribution
from lumora.evaluate.metrics.permanence import permanence
from lumora.evaluate.metrics.prompt_following import probe_reliability, prompt_following

METRICS: tuple[Metric, ...] = (
    Metric("prompt_following", "Prompt following", prompt_following),
    Metric("events_and_relations", "Events and relations", events_and_relations),
    Metric("permanence", "Object permanence", permanence),
    Metric("image_quality", "Image quality", image_quality),
    Metric("diversity", "Diversity", diversity, option="diversity"),
    Metric("memorization", "Memorization", memorization, option="memorization"),
    Metric("camera_control", "Camera control", camera_control),
    Metric("continuation_error", "Physics of continued clips", continuation_error, option="physics"),
    Metric("multi_shot_consistency", "Videos of several shots", multi_shot_consistency, option="multi_shot"),
    Metric("out_of_distribution", "Prompts outside the training distribution", out_of_distribution, option="ood"),
    Metric("probe_reliability", "Reliability of the probe", probe_reliability),
)
