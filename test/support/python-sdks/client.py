"""Asks as the official Python SDKs do. In: {url, cases} as JSON on standard input. Out: what each case came to, in order, as JSON."""

import json
import sys
import time

import anthropic
import openai

TIMEOUT_SECONDS = 30


def ask_openai(url, case):
    client = openai.OpenAI(
        base_url=f"{url}/v1",
        api_key=case.get("key", "none"),
        max_retries=case.get("retries", 0),
        timeout=TIMEOUT_SECONDS,
    )
    answer = client.chat.completions.create(
        model=case["model"],
        messages=[{"role": "user", "content": case.get("prompt", "hi")}],
        stream=case.get("stream", False),
        extra_headers=case.get("headers", {}),
    )
    if not case.get("stream", False):
        return {"text": answer.choices[0].message.content, "events": 0}
    texts = [chunk.choices[0].delta.content or "" for chunk in answer if chunk.choices]
    return {"text": "".join(texts), "events": len(texts)}


def ask_anthropic(url, case):
    client = anthropic.Anthropic(
        base_url=url,
        api_key=case.get("key", "none"),
        max_retries=case.get("retries", 0),
        timeout=TIMEOUT_SECONDS,
    )
    given = {
        "model": case["model"],
        "max_tokens": case.get("max_tokens", 64),
        "messages": [{"role": "user", "content": case.get("prompt", "hi")}],
        "extra_headers": case.get("headers", {}),
    }
    if case.get("count", False):
        del given["max_tokens"]
        return {"tokens": client.messages.count_tokens(**given).input_tokens}
    if not case.get("stream", False):
        return finished(client.messages.create(**given), 0)
    with client.messages.stream(**given) as stream:
        events = sum(1 for _ in stream)
        return finished(stream.get_final_message(), events)


def finished(message, events):
    texts = [block.text for block in message.content if block.type == "text"]
    return {
        "text": "".join(texts),
        "events": events,
        "stop": message.stop_reason,
        "input_tokens": message.usage.input_tokens,
        "output_tokens": message.usage.output_tokens,
    }


def raised(error):
    body = getattr(error, "body", None)
    inside = body.get("error", {}) if isinstance(body, dict) else {}
    details = inside.get("details", {}) if isinstance(inside, dict) else {}
    return {
        "raised": type(error).__name__,
        "status": getattr(error, "status_code", None),
        "code": getattr(error, "code", None) or details.get("error_code"),
        "request_id": getattr(error, "request_id", None),
    }


def outcome(url, case):
    began = time.monotonic()
    try:
        result = (ask_anthropic if case["sdk"] == "anthropic" else ask_openai)(url, case)
    except (openai.OpenAIError, anthropic.AnthropicError) as error:
        result = raised(error)
    return {**result, "took_ms": (time.monotonic() - began) * 1000}


given = json.load(sys.stdin)
json.dump([outcome(case.get("url", given["url"]), case) for case in given["cases"]], sys.stdout)
