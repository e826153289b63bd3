"""Validation against published suites and generated numbers: what is found, what is taken wrongly, how fast.

The suites are isemail's addresses and Presidio's recognizer cases (`../shared/data/validation`), the identities of
FakeNameGenerator (`../shared/data/roster`) and New York's job postings (`../shared/data/nyc_jobs`).

Limits: Social Security numbers found in the forms of the contract 0.99, none taken for one among phones, order numbers,
ZIP+4 and vacancy numbers; e-mail verdicts other than isemail's 2 of 164; 5,000 validations a second of each kind.

    python bench/validation.py [--seconds 1.0]
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lakehouse.validation import validate
from lakehouse.validation.personal import personal_data
from lakehouse.validation.recipients import address_fault, phone_fault
from lakehouse.validation.roster import Worker
from lakehouse.validation.social_security import holds_ssn
from tests.fakes.roster import FakeRoster

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
RECALL, DIFFERENT, PER_SECOND = 0.99, 2, 5_000
SEED = 7
GENERATED = 2_000
# What the contract names: hyphens, spaces, and bare nine digits where the words say so; then how people hide one.
FORMS = {
    "NNN-NN-NNNN": ("{a:03d}-{g:02d}-{s:04d}", ["{n}", "It is {n}.", "Maria Lopez, {n}, Toledo", "({n})", "id:{n};"]),
    "spaced": ("{a:03d} {g:02d} {s:04d}", ["It is {n}.", "{n}", "My number is {n}, thanks", "SSN {n}"]),
    "bare in context": (
        "{a:03d}{g:02d}{s:04d}",
        ["SSN {n}", "SSN: {n}", "ssn#{n}", "Social Security number {n}", "my social is {n}", "S.S.N. {n}",
         "soc sec no {n}",
         "{n} is my SSN", "Please confirm your social security number, {n}, today", "social-security {n}", "SS# {n}"],
    ),
    "dotted": ("{a:03d}.{g:02d}.{s:04d}", ["It is {n}.", "SSN {n}"]),
    "other hyphens": ("{a:03d}\u2011{g:02d}\u2013{s:04d}", ["It is {n}.", "SSN {n}"]),
    "no-break spaces": ("{a:03d}\u00a0{g:02d}\u202f{s:04d}", ["It is {n}.", "SSN {n}"]),
    "zero width within": ("{a:03d}\u200b-{g:02d}-\u2060{s:04d}", ["It is {n}.", "SSN {n}"]),
    "HTML within": ("{a:03d}&#45;<b>{g:02d}</b>-{s:04d}", ["It is {n}.", "SSN {n}"]),
}  # fmt: skip
GROUPED = ["{a:03d}-{g:02d}-{s:04d}", "{a:03d}{g:02d}{s:04d}", "{a:03d} {g:02d} {s:04d}"]
CALLS = ("Call {}.", "{}", "SSN on file. Call {}")
ORDERS = ["Order {}", "order no. {} has shipped", "PO {}", "Invoice #{}", "tracking number: {}"]
VACANCIES = ["Vacancy {}", "vacancy number {}", "Vacancy No: {}", "job ID {}", "Posting # {}"]
NYC = SHARED / "nyc_jobs" / "NYC_Jobs.csv"
HIDING = {"dotted", "other hyphens", "no-break spaces", "zero width within", "HTML within"}


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seconds", type=float, default=1.0)
    given = arguments.parse_args()
    draw = random.Random(SEED)
    met = [*numbers(draw), *addresses(), *phones(draw), *speed(given.seconds)]
    print(f"{sum(met)} of {len(met)} limits are met")


def numbers(draw: random.Random) -> Iterator[bool]:
    print("Social Security numbers")
    found = total = 0
    for name, (form, texts) in FORMS.items():
        cases = [text.format(n=_ssn(draw, form)) for text in texts for _ in range(GENERATED // len(texts))]
        hits = sum(holds_ssn(text) for text in cases)
        print(f"    {name:<24}{hits / len(cases):8.4f} of {len(cases)}")
        if name not in HIDING:
            found, total = found + hits, total + len(cases)
    yield report("recall on the contract's forms", found / total, ">=", RECALL)
    people = list(_rows(SHARED / "roster" / "roster.csv"))
    real = [row["NationalID"] for row in people if row["Country"] == "US"]
    cases = [
        text.format(number) for number in real for text in ("{}", "Your SSN {} is on file.", "Maria Lopez {} Toledo")
    ]
    yield report(f"recall on the {len(real)} of roster.csv", sum(map(holds_ssn, cases)) / len(cases), ">=", RECALL)
    presidio = list(_lines("presidio_us_ssn.jsonl"))
    wrong = [case["text"] for case in presidio if holds_ssn(case["text"]) != (case["expected_len"] > 0)]
    print(f"    Presidio's cases alike  {len(presidio) - len(wrong)} of {len(presidio)}; not: {wrong}")
    negatives: dict[str, Iterable[str]] = {
        "phones": _phones(draw),
        "phones of roster.csv": (text.format(row["TelephoneNumber"]) for row in people for text in CALLS),
        "order numbers": _others(draw, ORDERS),
        "longer order numbers": (f"Order 1{_ssn(draw, '{a:03d}-{g:02d}-{s:04d}')}0" for _ in range(GENERATED)),
        "ZIP+4": (
            text.format(f"{draw.randrange(100_000):05d}-{draw.randrange(10_000):04d}")
            for _ in range(GENERATED)
            for text in ("Toledo, OH {}", "{}", "SSN and ZIP {}")
        ),
        "vacancy numbers": _others(draw, VACANCIES),
        "NYC postings": (value for row in _rows(NYC) for value in row.values() if value),
        "bare without context": (
            text.format(_ssn(draw, "{a:03d}{g:02d}{s:04d}"))
            for _ in range(GENERATED)
            for text in ("Badge {} is ready.", "{}")
        ),
        "never given out": (form.format(_never(draw)) for _ in range(GENERATED) for form in ("SSN {}", "{}")),
    }  # fmt: skip
    for name, drawn in negatives.items():
        tried = list(drawn)
        taken = [text for text in tried if holds_ssn(text)]
        yield report(f"taken for one, of {len(tried):,} {name}", len(taken), "<=", 0, taken[:3])


def addresses() -> Iterator[bool]:
    print("E-mail addresses")
    cases = list(_lines("isemail.jsonl"))
    ours = {case["id"]: address_fault(case["value"]) is None for case in cases}
    practical = [case for case in cases if case["valid_practical"]]
    taken = [case for case in cases if ours[case["id"]]]
    right = sum(case["valid_practical"] for case in taken)
    print(
        f"    recall {right / len(practical):.4f} of {len(practical)},"
        f" precision {right / len(taken):.4f} of {len(taken)}"
    )
    for category in dict.fromkeys(case["category"] for case in cases):
        within = [case for case in cases if case["category"] == category]
        print(f"    {category:<24}{sum(ours[c['id']] for c in within):4} of {len(within)} accepted")
    other = [case for case in cases if ours[case["id"]] != case["valid_practical"]]
    yield report(f"verdicts other than isemail's, of {len(cases)}", len(other), "<=", DIFFERENT)
    for case in other:
        print(f"    {case['value']!r}: {case['diagnosis']}; ours: {address_fault(case['value'])}")
    texts = list(_lines("presidio_email.jsonl"))
    alike = [personal_data(case["text"]).get("personal.email", 0) == case["expected_len"] for case in texts]
    print(f"    Presidio's texts with as many found  {sum(alike)} of {len(alike)}")


def phones(draw: random.Random) -> Iterator[bool]:
    print("Phones")
    people = list(_rows(SHARED / "roster" / "roster.csv"))
    national = [row["TelephoneNumber"] for row in people]
    # National forms drop their leading 0 behind the country code.
    international = [
        f"+{row['TelephoneCountryCode']} {row['TelephoneNumber'].replace('(0', '(').removeprefix('0')}"
        for row in people
    ]
    taken = [phone_fault(phone) is None for phone in international]
    print(
        f"    roster.csv with country codes accepted  {sum(taken) / len(taken):.4f} of {len(taken)}"
        " (fictional: some fit no country)"
    )
    fictional = [f"+1{draw.randrange(201, 990)}555{draw.randrange(10_000):04d}" for _ in range(GENERATED)]
    yield report(
        "recall on North American numbers",
        sum(phone_fault(p) is None for p in fictional) / len(fictional),
        ">=",
        RECALL,
    )
    presidio = list(_lines("presidio_phone.jsonl"))
    written = {case["text"][start:end] for case in presidio for start, end in case["rest"][1]}
    with_code = [phone for phone in written if phone.startswith("+")]
    print(f"    Presidio's with + accepted  {sum(phone_fault(p) is None for p in with_code)} of {len(with_code)}: "
          f"not {[p for p in with_code if phone_fault(p) is not None]}")  # fmt: skip
    no_phones = [
        *national,
        *(p for p in written if not p.startswith("+")),
        *(f"{n}" for n in range(100)),
        "43604-1234",
        "+1",
        "+12",
    ]
    wrong = [phone for phone in no_phones if phone_fault(phone) is None]
    yield report(f"accepted, of {len(no_phones):,} without a country code", len(wrong), "<=", 0, wrong[:3])
    counts = [personal_data(case["text"]).get("personal.phone", 0) for case in presidio]
    alike = sum(count == case["expected_len"] for count, case in zip(counts, presidio, strict=True))
    print(
        f"    Presidio's texts with as many found  {alike} of {len(presidio)}"
        " (national forms of other countries are not looked for)"
    )


def speed(seconds: float) -> Iterator[bool]:
    print("Validations a second, one core, the function alone")
    body = "Hello Maria, we have a shift on Monday at 7 am at 12 Main St. Call 415-555-0132 or reply YES to confirm."
    names = {"candidate_name": "Maria Lopez", "other_names": ["Sam Hu"]}
    workers = {str(i): Worker(f"Maria Lopez {i}", "Electrician", "Toledo", "OH", "active") for i in range(10)}
    fills = [{"candidate_id": i, "name": worker.name} for i, worker in workers.items()]
    where = {"target_count": 10, "role": "Electrician", "city": "Toledo", "state": "OH", "client_id": "C-0001"}
    asked = {
        "email": ({"to": "maria@example.com", "subject": "Monday shift", "body": body}, names),
        "sms": ({"to": "+14155550132", "body": body}, names),
        "fill": ({"fills": fills}, where),
        "playbook": (
            {"operation": "fill: Electrician x2 in Toledo, OH", "endorsed_names": ["Maria Lopez"], "score": 0.8},
            {},
        ),
    }  # fmt: skip
    roster = FakeRoster(workers)
    for kind, (artifact, context) in asked.items():
        assert validate(kind, artifact, context, roster=roster).passed
        rate = _rate(lambda: validate(kind, artifact, context, roster=roster), seconds)  # noqa: B023
        yield report(f"{kind} ({len(json.dumps(artifact))} bytes)", rate, ">=", PER_SECOND)


def report(what: str, measured: float, sign: str, limit: float, which: Iterable[str] = ()) -> bool:
    is_met = measured >= limit if sign == ">=" else measured <= limit
    shown = f"{measured:.4f}" if measured <= 1 and limit <= 1 else f"{measured:,.0f}"
    print(
        f"{'PASS' if is_met else 'FAIL'}  {what}: {shown} (limit {sign} {limit:g}){f' {list(which)}' if which else ''}"
    )
    return is_met


def _rate(work: Callable[[], object], seconds: float) -> float:
    """Calls in a second of one core's time, which is not what else the machine does."""
    begun, count = time.process_time(), 0
    while time.process_time() - begun < seconds:
        for _ in range(100):
            work()
        count += 100
    return count / (time.process_time() - begun)


def _ssn(draw: random.Random, form: str) -> str:
    area = draw.choice([a for a in (draw.randrange(1, 900), draw.randrange(1, 666)) if a != 666])
    return form.format(a=area, g=draw.randrange(1, 100), s=draw.randrange(1, 10_000))


def _never(draw: random.Random) -> str:
    area, group, serial = draw.randrange(1, 666), draw.randrange(1, 100), draw.randrange(1, 10_000)
    wrong = draw.choice(
        [
            (0, group, serial),
            (666, group, serial),
            (draw.randrange(900, 1000), group, serial),
            (area, 0, serial),
            (area, group, 0),
        ]
    )
    return f"{wrong[0]:03d}-{wrong[1]:02d}-{wrong[2]:04d}"


def _phones(draw: random.Random) -> Iterator[str]:
    forms = ["{}-{}-{}", "({}) {}-{}", "{}.{}.{}", "{} {} {}", "{}{}{}", "+1{}{}{}", "+1 {}-{}-{}", "1-{}-{}-{}"]
    for _ in range(GENERATED):
        number = (draw.randrange(201, 990), draw.randrange(200, 1000), f"{draw.randrange(10_000):04d}")
        for text in ("Call me at {}.", "{}", "Your SSN is safe; call {}"):
            yield text.format(draw.choice(forms).format(*number))


def _others(draw: random.Random, texts: list[str]) -> Iterator[str]:
    """Numbers in the very shape of a Social Security number that are named as something else."""
    for _ in range(GENERATED // 2):
        for text in texts:
            yield text.format(_ssn(draw, draw.choice(GROUPED)))
    yield "Vacancy 009-15-0014"


def _lines(name: str) -> Iterator[dict]:  # type: ignore[type-arg]
    with (SHARED / "validation" / name).open(encoding="utf-8") as stream:
        yield from map(json.loads, stream)


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        yield from csv.DictReader(stream)


if __name__ == "__main__":
    main()
