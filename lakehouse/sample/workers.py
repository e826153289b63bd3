"""Workers: the staffing table of 18 columns as CSV, any number of rows in flat memory, the same bytes for a seed.

Belongs here: how a row is drawn and written. Not here: the words (see vocabulary.py), blocks (see client_blocks.py).
"""

from __future__ import annotations

import csv
import random
import sys
import unicodedata
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lakehouse.sample.vocabulary import EMPLOYERS, OCCUPATIONS, REMARKS, STATES, STATUSES, TRAITS, Occupation

COLUMNS = (
    "worker_id", "name", "role", "city", "state", "zip", "email", "phone", "status", "reliability", "responsiveness",
    "engagement", "compliance", "availability", "certifications", "skills", "hourly_rate", "resume_text",
)  # fmt: skip
DEFAULT_SEED = 7

_BATCH_ROWS = 4096
_FIRST_NAMES, _LAST_NAMES, _CITIES_PER_STATE = 1024, 2048, 12
_SENTENCES = 256
_DRAWS = 24  # 32-bit numbers one row may take


@dataclass(frozen=True, slots=True)
class _Place:
    city: str
    state: str
    zip_prefixes: tuple[str, ...]
    area_codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Trade:
    """An occupation with its texts composed beforehand, so that a row only picks."""

    title: str
    rates: Sequence[str]
    skills: Sequence[str]
    certifications: Sequence[str]
    summaries: Sequence[str]
    bullets: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Pools:
    first_names: Sequence[tuple[str, str]]
    last_names: Sequence[tuple[str, str]]
    places: Sequence[_Place]
    trades: Sequence[_Trade]
    scores: Sequence[str]


def write_workers(
    path: Path, rows: int, seed: int = DEFAULT_SEED, *, on_rows: Callable[[int], None] | None = None
) -> int:
    """Write the table to `path` and return its size in bytes.

    Args:
        path: The CSV file; replaced when it is there.
        rows: How many workers; ids count from 1.
        seed: The same seed gives the same bytes, and a longer table begins with the shorter one.
        on_rows: Called now and then with the number of rows written since the last call.
    """
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for batch in worker_batches(rows, seed):
            writer.writerows(batch)
            if on_rows is not None:
                on_rows(len(batch))
    return path.stat().st_size


def worker_batches(rows: int, seed: int = DEFAULT_SEED) -> Iterator[list[tuple[object, ...]]]:
    """Yield the rows as lists of tuples in the order of `COLUMNS`; nothing is kept between two batches."""
    pools = _make_pools(seed)
    source = random.Random(f"workers-{seed}")  # noqa: S311 - sample data, not secrets
    for first in range(0, rows, _BATCH_ROWS):
        # Always a whole batch of numbers: so a longer table begins with the shorter one.
        numbers = _numbers(source, _BATCH_ROWS * _DRAWS)
        count = min(_BATCH_ROWS, rows - first)
        yield [_worker(first + i + 1, pools, numbers[i * _DRAWS : (i + 1) * _DRAWS]) for i in range(count)]


def _worker(worker_id: int, pools: _Pools, n: Sequence[int]) -> tuple[object, ...]:
    first, first_ascii = pools.first_names[n[0] % _FIRST_NAMES]
    last, last_ascii = pools.last_names[n[1] % _LAST_NAMES]
    place = pools.places[n[2] % len(pools.places)]
    trade = pools.trades[n[3] % len(pools.trades)]
    scores = pools.scores
    skills = trade.skills[n[4] % len(trade.skills)]
    certifications = trade.certifications[n[5] % len(trade.certifications)]
    name = f"{first} {last}"
    zip_code = f"{place.zip_prefixes[n[6] % len(place.zip_prefixes)]}{n[6] // 7 % 100:02d}"
    phone = f"+1 {place.area_codes[n[7] % len(place.area_codes)]}-555-{n[7] // 7 % 10_000:04d}"
    bullets = trade.bullets
    resume = (
        f"{name}\n{trade.title} - {place.city}, {place.state} {zip_code}\n\n{trade.summaries[n[8] % _SENTENCES]}\n"
        f"- {bullets[n[9] % _SENTENCES]}\n- {bullets[n[10] % _SENTENCES]}\n- {bullets[n[11] % _SENTENCES]}\n"
        f"Skills: {skills}\nCertifications: {certifications or 'none'}"
    )
    return (
        worker_id, name, trade.title, place.city, place.state, zip_code,
        f"{first_ascii}.{last_ascii}{worker_id}@example.com", phone, STATUSES[n[12] % len(STATUSES)],
        scores[n[13] % 1000], scores[n[14] % 1000], scores[n[15] % 1000], scores[n[16] % 1000], scores[n[17] % 1000],
        certifications, skills, trade.rates[n[18] % len(trade.rates)], resume,
    )  # fmt: skip


def _make_pools(seed: int) -> _Pools:
    from mimesis import Address, Person
    from mimesis.locales import Locale

    locales = [Locale.EN, Locale.EN, Locale.EN, Locale.ES, Locale.DE]  # José, Müller: text beyond ASCII
    people = [Person(locale, seed=seed + i) for i, locale in enumerate(locales)]
    cities = Address(Locale.EN, seed=seed)
    draw = random.Random(f"pools-{seed}")  # noqa: S311 - sample data, not secrets
    return _Pools(
        first_names=_with_ascii([people[i % len(people)].first_name() for i in range(_FIRST_NAMES)]),
        last_names=_with_ascii([people[i % len(people)].last_name() for i in range(_LAST_NAMES)]),
        places=[
            _Place(cities.city(), state, prefixes, codes)
            for state, prefixes, codes in STATES
            for _ in range(_CITIES_PER_STATE)
        ],
        trades=[_make_trade(occupation, draw) for occupation in OCCUPATIONS],
        scores=[f"{1 - (i / 1000) ** 2 * 0.8:.3f}" for i in range(1000)],  # most people are good
    )


def _make_trade(occupation: Occupation, draw: random.Random) -> _Trade:
    low, high = occupation.wage
    skills = [", ".join(draw.sample(occupation.skills, draw.randint(3, 5))) for _ in range(_SENTENCES)]
    # Every third has none: an empty field, which ingest reads as null.
    certifications = [", ".join(draw.sample(occupation.certifications, draw.choice((0, 1, 2)))) for _ in range(64)]
    return _Trade(
        title=occupation.title,
        rates=[f"{low + (high - low) * i / 199:.2f}" for i in range(200)],
        skills=skills,
        certifications=certifications,
        summaries=[_summary(occupation, draw) for _ in range(_SENTENCES)],
        bullets=[_bullet(occupation, draw) for _ in range(_SENTENCES)],
    )


def _summary(occupation: Occupation, draw: random.Random) -> str:
    strengths = " and ".join(draw.sample(occupation.skills, 2))
    return (
        f"{draw.choice(TRAITS)} {occupation.title.lower()} with {draw.randint(1, 28)} years of experience,"
        f" strong in {strengths}; {draw.choice(REMARKS)}."
    )


def _bullet(occupation: Occupation, draw: random.Random) -> str:
    start = draw.randint(1998, 2022)
    done = "; ".join(draw.sample(occupation.duties, draw.randint(1, 2)))
    return f"{draw.choice(EMPLOYERS)}, {start}-{start + draw.randint(1, 4)}: {done}"


def _with_ascii(names: list[str]) -> list[tuple[str, str]]:
    return [(name, _fold(name)) for name in names]


def _fold(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name.replace("ß", "ss")).encode("ascii", "ignore").decode()
    return "".join(c for c in plain.lower() if c.isalnum()) or "worker"


def _numbers(source: random.Random, count: int) -> array[int]:
    numbers = array("I", source.randbytes(4 * count))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
