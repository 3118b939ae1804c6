"""The one-time code in a text, and what is none."""

from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.testing.codes import one_time_code
from mailpost.testing.links import Html


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("123456", "123456"),
        ("Your code: 123-456", "123456"),
        ("Your code:\n\n  123 456\n\nIt is good for 10 minutes.", "123456"),
        ("Your verification code is 004821.", "004821"),
        ("Your verification code is **004821**", "004821"),
        ("483920 is your PIN.", "483920"),
        ("G-483920 is your Google verification code.", "483920"),
        ("Use code 1234 to log in. It expires in 1440 minutes.", "1234"),
        ("Your code is 2024", "2024"),
        ("Code:123456", "123456"),
        ("Ihr Sicherheitscode lautet 991 204", "991204"),
        ("Bestätigungscode: 4711", "4711"),
        ("Ваш код: 123456", "123456"),
        ("验证码 123456", "123456"),
        ("Hello Ann,\n\n1 2 3 4 5 6\n\nBye", "123456"),
        ("Enter this code: WDJB-MJHT", "WDJB-MJHT"),
        ("Your login code is A1B2C3", "A1B2C3"),
        ("Order 998877 needs your confirmation code 123456.", "123456"),
        ("Order number: 998877\nYour code: 123456\nPhone: 12345678", "123456"),
        ("Your one-time password is 55667788", "55667788"),
        ("© 2024 Example Inc., 10115 Berlin\nYour code\n902811", "902811"),
        ("Your code (123456) is good for 5 minutes.", "123456"),
        ("Enter 123456 as your code", "123456"),
        ("Your account code is 123456", "123456"),
        ("Mobile code: 123456", "123456"),
    ],
)
def test_codes(text: str, code: str) -> None:
    assert one_time_code(text) == code


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Hello Ann, how are you?",
        "2024",
        "© 2024 Example Inc.",
        "Since 1998 we have been here.",
        "Copyright 2024",
        "Order 123456 has been shipped.",
        "Your order number is 123456.",
        "Order #123456",
        "Invoice no. 20240501",
        "Rechnungsnummer: 123456",
        "Call 555-1234 or +1 555 123 4567.",
        "Phone: 12345678",
        "Tel. 030 123456",
        "Your code will come to +49 30 1234567",
        "You owe $1234, that is 1234 EUR.",
        "The code is good for 1440 minutes.",
        "Meet us on 2024-05-01 at 12:30.",
        "Open https://example.org/confirm/123456?code=123456",
        "Write to 123456@example.org",
        "Area code 03012",
        "Reference code: 123456",
        "Order code: 123456",
        "Use promo code SUMMER24 for a discount",
        "Price: 1234.50",
        "A long number: 1234567890123",
        "Room 1234, flight 5678",
    ],
)
def test_no_codes(text: str) -> None:
    assert one_time_code(text) is None


def test_digits_in_boxes_of_html() -> None:
    boxes = "".join(f"<td><b>{digit}</b></td>" for digit in "123456")
    document = f"<style>p {{ width: 123456 }}</style><p>Your code is</p><table><tr>{boxes}</tr></table>"
    assert one_time_code(Html(document).text) == "123456"


@given(st.text(alphabet="0123456789 -:\ncodeORDER#€.@/", max_size=300))
def test_a_code_is_in_the_text(text: str) -> None:
    code = one_time_code(text)
    if code is not None:
        assert code.replace("-", "") in text.replace("-", "").replace(" ", "")
        assert 4 <= len(code) <= 10


@pytest.mark.parametrize("piece", ["1 ", "12-", "code ", "A1", "order:", "\n", "1234 ", "code:1234 ", "# ", "123456\n"])
def test_a_long_text_takes_no_longer_than_it_should(piece: str) -> None:
    begun = process_time()
    one_time_code(piece * (80_000 // len(piece)))
    assert process_time() - begun < 2
