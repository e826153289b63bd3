"""Pay rates are found however they are written; prices, times and quantities are none."""

from __future__ import annotations

import pytest

from lakehouse.validation.pay import discloses_pay

RATES = [
    "The rate is $23.50/hour.",
    "$25/hr",
    "25 dollars an hour",
    "pays 18.50 per hour",
    "hourly rate of 25",
    "hourly rate of $25",
    "$60k salary",
    "$25-30/hr",
    "$25 to $30 per hour",
    "$25–$28 an hour",
    "25 USD/hr",
    "USD 25 per hour",
    "25/hr",
    "pay: $25",
    "Pay rate: 18.50",
    "wage $18",
    "salary of $60,000",
    "salary: 60k",
    "earn $1,000 weekly",
    "60k per year",
    "60-65k annual salary",
    "$25 hourly",
    "twenty-five dollars an hour",
    "fifteen an hour",
    "eighteen fifty an hour",
    "$800 a week",
    "$3,200/month",
    "$180 per shift",
    "$55,000 per annum",
    "£14 per hour",
    "25 bucks an hour",
    "paying $22",
    "pays $22",
    "Pay is $20",
    "$22.50 hr",
    "$22.50 / hour",
    "We can do $22.50 p/h",
    "$22ph",
    "salary $60K-$70K",
    "annual salary 65000",
    "＄25/hr",
    "$2\u200b5/hr",
    "$<b>25</b>/hr",
    "Compensation: $52,000",
    "base pay 18.50",
    "starting pay $17.25",
    "pay rate 21",
    "overtime rate is $37.50",
    "the job pays 25 an hour",
    "Rate: $19.75",
    "19.75/hour",
    "pay range is $18-$22",
    "up to $35 per hour",
    "$150/day",
    "$150 per day for this position",
    "a wage of 20 dollars",
    "pays 20 dollars",
    "23.50 an hour",
    "pay $25/hr",
    "$0.50 per hour raise",
]
OTHERS = [
    "We have a shift on Monday at 7 am, reply YES to confirm.",
    "Parking is $12 per day.",
    "Parking costs $3 per hour.",
    "401k and health insurance",
    "We offer a 401k",
    "salary plus 401k",
    "Salary and 401(k) are discussed later",
    "The bus pass is $70 a month",
    "Lunch is $8",
    "Bring $20 for the badge",
    "Arrive at 7 an hour early",
    "Be there at 7, an hour before the shift",
    "40 hours per week",
    "60 miles per hour",
    "300 picks per hour",
    "25 boxes an hour",
    "Pay period 12 ends 7/15",
    "Payday is 7/15",
    "Pay day is on the 15th",
    "123 Main St, Toledo, OH 43604",
    "Call 415-555-0132",
    "The rate of absence is 5%",
    "Your hourly schedule is 7-15",
    "once an hour",
    "12 hours a day",
    "open 24/7",
    "the shift is 8 hours",
    "paid weekly",
    "Paid time off: 10 days",
    "The $30 fee is waived",
    "rent is $900 per month",
    "The uniform costs $25",
    "shift pays well",
    "We pay on Fridays",
    "Wages are paid on the 15th",
    "Salary is discussed in the interview",
    "hourly rate is discussed at 10:30",
    "pay rate sheet 2024-05-01",
    "a $500 bonus",
    "I will pay $15 for parking",
    "We paid $15 for lunch",
    "Room rate is $89 per night",
    "The pay stub of 12/31",
    "Salary review on 15 May",
    "earning 3 points",
    "The rate is 95%",
    "compensation committee meets at 5 pm",
    "Job 25/40",
    "wages for 40 hours",
    "5 a week",
]


@pytest.mark.parametrize("text", RATES)
def test_pay_rate_is_found(text: str) -> None:
    assert discloses_pay(text)
    assert discloses_pay(f"Good morning. {text}, call 415-555-0132 by 7/15.")


@pytest.mark.parametrize("text", OTHERS)
def test_what_is_no_pay_passes(text: str) -> None:
    assert not discloses_pay(text)


@pytest.mark.parametrize(
    "piece", ["1", "1,", "$", "$1 ", "$1,111", "salary is of at ", "rate : ", "1 to ", "ten ", "$1/day rent "]
)
def test_long_hostile_text_is_read_once(piece: str) -> None:
    discloses_pay(piece * (50_000 // len(piece)))
