"""A fixed sample of hostile requests (`make fuzz` sends many more): no fault of the broker's own, no hang, always an answer that says what is wrong."""

from __future__ import annotations

import json

from tests.linkage.fuzz import Maker, broken, faults_of, hunt, offered, wrong_with

MAKER = Maker(offered(), "http://127.0.0.1:9/in")


def test_two_thousand_hostile_requests_find_no_fault() -> None:
    assert hunt(0, 2000) == 0


def test_a_case_is_made_from_its_number_alone() -> None:
    assert [MAKER.case(number) for number in range(300)] == [Maker(offered(), "http://127.0.0.1:9/in").case(number) for number in range(300)]


def test_cases_reach_every_address_and_both_good_and_broken_requests() -> None:
    cases = [MAKER.case(number) for number in range(6000)]
    assert any(case.raw for case in cases)
    bodies = [case.body for case in cases if case.body]
    read = 0
    for body in bodies:
        try:
            json.loads(body)
            read += 1
        except (ValueError, RecursionError):
            pass
    assert len(bodies) * 0.7 < read < len(bodies)
    paths = {case.target.partition("?")[0] for case in cases}
    for _, path, _ in MAKER.routes:
        head = path.partition("{")[0]
        assert any(target.startswith(head) for target in paths), path


def test_what_counts_as_wrong() -> None:
    problem = b'{"type":"https://uri.etsi.org/ngsi-ld/errors/InternalError","title":"x"}'
    media = {"content-type": "application/json"}
    assert wrong_with(200, media, b"[]", "GET") == wrong_with(400, media, problem, "GET") == wrong_with(504, media, problem, "GET") == ""
    assert wrong_with(500, media, problem, "GET").startswith("status 500")
    assert wrong_with(503, media, problem, "GET").startswith("status 503")
    assert "no JSON" in wrong_with(200, media, b"[", "GET")
    assert "no problem details" in wrong_with(400, media, b"[]", "GET")


def test_errors_in_the_log_are_told_by_their_kind() -> None:
    line = json.dumps({"event": "unexpected error", "traceback": 'Traceback:\n  File "src/kiban/x.py", line 3, in f\nValueError: a'})
    assert faults_of(f"{line}\n{line}\n" + '{"event":"started"}\n') == {'ValueError: a File "src/kiban/x.py", line 3, in f': (2, json.loads(line)["traceback"])}


def test_a_case_can_be_sent_again_by_curl() -> None:
    import random

    case = next(case for number in range(1000) if (case := MAKER.case(number)).body and not case.raw)
    assert case.curl().startswith("printf '")
    assert "--data-binary @-" in case.curl()
    assert isinstance(broken(random.Random(1)), bytes)
