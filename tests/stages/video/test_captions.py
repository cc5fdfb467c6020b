from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("av")
pytest.importorskip("PIL")

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import DataError, InputError, OptionError, TransientError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.video.caption import CaptionEnhancementStage, CaptionGenerationStage, CaptionPreparationStage
from nemo_curator.stages.video.clipping.spans import clip_of
from nemo_curator.tasks.video import Video, VideoTask
from nemo_curator.testing.web import LoopbackWeb, Reply
from nemo_curator.utils.chat_client import ChatEndpoint, image_message
from nemo_curator.utils.http_fetch import HttpPolicy
from tests.stages.video.media import make_video

PATH = "/v1/chat/completions"
JSON = {"Content-Type": "application/json"}
EVENTS = {"Content-Type": "text/event-stream"}


def said(text: str | None) -> Reply:
    return Reply(json.dumps({"choices": [{"message": {"content": text}}]}).encode(), headers=JSON)


def refused(status: int, message: str, **headers: str) -> Reply:
    return Reply(json.dumps({"error": {"message": message}}).encode(), status, {**JSON, **headers})


def streamed(*pieces: str, done: bool = True, **more: Any) -> Reply:
    events = [json.dumps({"choices": [{"delta": {"content": piece}}]}) for piece in pieces]
    events = ['{"choices": [{"delta": {"role": "assistant"}}]}', *events, *(["[DONE]"] if done else [])]
    body = ": a comment\n\n" + "".join(f"data: {event}\n\n" for event in events)
    return Reply(body.encode(), headers=EVENTS, chunked=True, **more)


@pytest.fixture
def web() -> Iterator[LoopbackWeb]:
    with LoopbackWeb() as server:
        yield server


def endpoint(web: LoopbackWeb, pauses: list[float] | None = None, **options: Any) -> ChatEndpoint:
    sleep = (pauses if pauses is not None else []).append
    policy = HttpPolicy(attempts=3, timeout_s=5, sleep=sleep)
    return ChatEndpoint(f"{web.url}/v1", "tiny-vl", policy=policy, **options)


ASK = [{"role": "user", "content": "what is it?"}]


def test_a_question_is_asked_in_the_form_of_chat_completions(web: LoopbackWeb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "secret")
    web.serve(PATH, said("  a dog \n"))
    assert endpoint(web, api_key_env="MY_KEY").complete(ASK, 7) == "a dog"
    ((path, body),) = web.bodies
    assert path == PATH
    assert json.loads(body) == {
        "model": "tiny-vl",
        "messages": ASK,
        "max_tokens": 7,
        "temperature": 0.0,
        "stream": False,
    }
    assert web.requests[0][1]["Authorization"] == "Bearer secret"


def test_without_a_key_none_is_sent(web: LoopbackWeb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    web.serve(PATH, said("a dog"))
    endpoint(web).complete(ASK)
    assert "Authorization" not in web.requests[0][1]


def test_streamed_answers_are_put_together(web: LoopbackWeb) -> None:
    web.serve(PATH, streamed("a ", "brown ", "dög"))
    assert endpoint(web, stream=True).complete(ASK) == "a brown dög"
    assert json.loads(web.bodies[0][1])["stream"] is True


@pytest.mark.parametrize(
    ("trouble", "pauses"),
    [
        ([refused(429, "slow down", **{"Retry-After": "7"})], [7.0]),
        ([refused(503, "loading"), refused(500, "oops")], [1.0, 2.0]),
        ([streamed("a ", done=False)], [1.0]),
        ([Reply(b'{"choices": [', headers=JSON)], [1.0]),
        ([Reply(said("a dog").body, headers=JSON, cut=9)], [1.0]),
        ([Reply(b'data: {"error": {"message": "out of memory"}}\n\n', headers=EVENTS)], [1.0]),
    ],
    ids=["rate_limit", "busy_twice", "stream_broken_off", "cut_json", "connection_lost", "error_in_stream"],
)
def test_trouble_that_passes_is_waited_out(web: LoopbackWeb, trouble: list[Reply], pauses: list[float]) -> None:
    web.serve(PATH, *trouble, said("a dog"))
    waited: list[float] = []
    assert endpoint(web, waited).complete(ASK) == "a dog"
    assert waited == pauses


@pytest.mark.parametrize(
    ("reply", "kind", "message", "asked"),
    [
        (refused(400, "image too large"), DataError, "the server answers 400: image too large", 1),
        (refused(401, "bad key"), InputError, "401: bad key. Check base_url, model and the key in OPENAI_API_KEY", 1),
        (refused(404, "no model tiny-vl"), InputError, "404: no model tiny-vl", 1),
        (Reply(b"<html>", 302, {"Location": "http://elsewhere.invalid/"}), InputError, "the server answers 302", 1),
        (refused(503, "busy"), TransientError, "gave no answer in 3 attempts: the server answers 503: busy", 3),
        (refused(429, "slow", **{"Retry-After": "9999"}), TransientError, "It asks to wait for 9999 s", 1),
        (said(""), DataError, "the answer is empty", 1),
        (said(None), DataError, "the answer is empty", 1),
        (Reply(b'{"choices": []}', headers=JSON), DataError, "the answer has no text in it", 1),
        (Reply(b"[1]", headers=JSON), DataError, "is not an object of JSON", 1),
        (Reply(b'data: {"choices": [3]}\n\n', headers=EVENTS), DataError, "not in the form of chat completions", 1),
    ],
    ids=["400", "401", "404", "redirect", "503", "long_wait", "empty", "null", "no_choice", "list", "odd_stream"],
)
def test_trouble_that_stays_is_said(
    web: LoopbackWeb, reply: Reply, kind: type[Exception], message: str, asked: int
) -> None:
    web.serve(PATH, reply)
    with pytest.raises(kind) as caught:
        endpoint(web).complete(ASK)
    assert message in str(caught.value)
    assert "tiny-vl" in str(caught.value)
    assert web.count(PATH) == asked


def test_nobody_there_is_said() -> None:
    with LoopbackWeb() as server:
        url = server.url
    lonely = ChatEndpoint(f"{url}/v1", "m", policy=HttpPolicy(attempts=1, timeout_s=2))
    with pytest.raises(TransientError, match="no connection: ConnectionRefusedError"):
        lonely.complete(ASK)
    with pytest.raises(OptionError, match="must begin with http"):
        ChatEndpoint("file:///etc/passwd", "m")


def test_pictures_travel_in_the_message() -> None:
    message = image_message("look", [b"one", b"two"])
    urls = [part["image_url"]["url"] for part in message["content"][:2]]
    assert [base64.b64decode(url.removeprefix("data:image/jpeg;base64,")) for url in urls] == [b"one", b"two"]
    assert message["content"][2] == {"type": "text", "text": "look"}


def task_of(*buffers: bytes) -> VideoTask:
    video = Video("a.mp4")
    video.metadata.framerate = 10.0
    for index, buffer in enumerate(buffers):
        clip = clip_of(video, (float(index), index + 1.0))
        clip.buffer = buffer
        video.clips.append(clip)
    return VideoTask(dataset_name="test", data=video)


def test_windows_are_prepared_with_their_pictures() -> None:
    from PIL import Image

    stage = CaptionPreparationStage(
        sampling_fps=1, window_size=20, remainder_threshold=10, max_frames=2, frame_height=32
    )
    whole, short, broken = stage.process(task_of(make_video(40), make_video(3), b"broken")).data.clips
    assert [(window.start_frame, window.end_frame) for window in whole.windows] == [(0, 19), (20, 39)]
    prepared = [window.llm_inputs["qwen2.5"] for window in whole.windows]
    assert [len(inputs["images"]) for inputs in prepared] == [2, 2]
    with Image.open(io.BytesIO(prepared[0]["images"][0])) as image:
        assert (image.format, image.size) == ("JPEG", (48, 32))
    assert short.windows == []
    assert "cannot be opened" in broken.errors["caption_preparation"]
    with pytest.raises(OptionError, match=r"prompt_variant 'defualt' is not known.*Did you mean 'default'"):
        CaptionPreparationStage(prompt_variant="defualt")


def test_captions_are_made_and_made_better(web: LoopbackWeb) -> None:
    web.serve(PATH, said("a dog runs"), refused(400, "not this one"), said("a cat"), said("better"))
    task = CaptionPreparationStage(prompt_text="Say it.").process(task_of(*[make_video(10)] * 3))
    task = CaptionGenerationStage(endpoint=endpoint(web), caption_batch_size=1, max_output_tokens=9).process(task)
    captions = [clip.windows[0].caption for clip in task.data.clips]
    assert captions == [{"qwen2.5": "a dog runs"}, {}, {"qwen2.5": "a cat"}]
    assert "not this one" in task.data.clips[1].errors["caption"]
    assert all(window.llm_inputs == {} for clip in task.data.clips for window in clip.windows)
    first = json.loads(web.bodies[0][1])
    assert first["max_tokens"] == 9
    assert first["messages"][0]["content"][-1] == {"type": "text", "text": "Say it."}
    task = CaptionEnhancementStage(endpoint=endpoint(web)).process(task)
    better = [clip.windows[0].enhanced_caption for clip in task.data.clips]
    assert better == [{"qwen": "better"}, {}, {"qwen": "better"}]
    assert json.loads(web.bodies[-1][1])["messages"][0]["role"] == "system"


def test_what_was_answered_is_not_asked_again(web: LoopbackWeb) -> None:
    web.serve(PATH, said("one"), *[refused(503, "busy")] * 3, said("two"))
    task = CaptionPreparationStage().process(task_of(make_video(10), make_video(10)))
    stage = CaptionGenerationStage(endpoint=endpoint(web), caption_batch_size=1)
    with pytest.raises(TransientError):
        stage.process(task)
    task = stage.process(task)
    assert [clip.windows[0].caption["qwen2.5"] for clip in task.data.clips] == ["one", "two"]
    assert web.count(PATH) == 5


@pytest.mark.parametrize("stage", [CaptionGenerationStage, CaptionEnhancementStage])
def test_without_an_endpoint_it_is_said_how_to_get_one(stage: Any) -> None:
    with pytest.raises(OptionError, match=r"vllm serve models/qwen, say.*endpoint=ChatEndpoint"):
        stage()


@pytest.mark.parametrize("mode", ["inline", "threads", "processes"])
def test_workers_ask_with_the_key_of_their_environment(
    mode: Any, web: LoopbackWeb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "secret")
    web.serve(PATH, streamed("a ", "dog"))
    where = ChatEndpoint(f"{web.url}/v1", "tiny-vl", api_key_env="MY_KEY", stream=True)
    pipeline = Pipeline(
        "captions", stages=[CaptionPreparationStage(), CaptionGenerationStage(endpoint=where, caption_batch_size=4)]
    )
    tasks = [task_of(make_video(10), make_video(10)) for _ in range(2)]
    outputs = pipeline.run(LocalExecutor(mode=mode, num_workers=2, cpus=2, strict=True), initial_tasks=tasks)
    captions = [clip.windows[0].caption for task in outputs or [] for clip in task.data.clips]
    assert captions == [{"qwen2.5": "a dog"}] * 4
    assert web.count(PATH) == 4
    assert {headers["Authorization"] for _, headers in web.requests} == {"Bearer secret"}
