"""The native timestamp parser agrees with Python's, for every time and every common format."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import find, given
from hypothesis import strategies as st

from session_buddy import _native

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
MICROSECOND = timedelta(microseconds=1)

offsets = st.integers(-(24 * 60 - 1), 24 * 60 - 1).map(lambda minutes: timezone(timedelta(minutes=minutes)))
zones = st.none() | st.just(timezone.utc) | offsets
# Far enough from the ends of the calendar that an offset cannot leave it.
moments = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=zones)
timespecs = st.sampled_from(["auto", "minutes", "seconds", "milliseconds", "microseconds"])


def micros(moment: datetime) -> int:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return (moment - EPOCH) // MICROSECOND


@given(moments, timespecs, st.sampled_from("T t"))
def test_reads_what_isoformat_writes(moment: datetime, timespec: str, separator: str) -> None:
    text = moment.isoformat(sep=separator, timespec=timespec)
    assert _native.parse_timestamp(text) == micros(datetime.fromisoformat(text))


@given(moments, st.sampled_from("Zz"))
def test_reads_z_as_utc(moment: datetime, zulu: str) -> None:
    naive = moment.replace(tzinfo=None)
    assert _native.parse_timestamp(naive.isoformat() + zulu) == micros(naive)


@given(moments, st.integers(1, 9), st.sampled_from(".,"))
def test_truncates_fractions_of_any_length_to_microseconds(moment: datetime, digits: int, point: str) -> None:
    fraction = f"{moment.microsecond:06d}789"[:digits]
    text = moment.replace(tzinfo=None).isoformat(timespec="seconds") + point + fraction
    expected = moment.replace(tzinfo=None, microsecond=int(fraction[:6].ljust(6, "0")))
    assert _native.parse_timestamp(text) == micros(expected)


@given(moments, st.sampled_from(["+{h:02d}", "+{h:02d}{m:02d}", "-{h:02d}:{m:02d}", "-{h:02d}{m:02d}"]))
def test_reads_short_offsets(moment: datetime, form: str) -> None:
    naive = moment.replace(tzinfo=None)
    hours, minutes = 5, (30 if "{m" in form else 0)
    shift = timedelta(hours=hours, minutes=minutes) * (1 if form.startswith("+") else -1)
    assert _native.parse_timestamp(naive.isoformat() + form.format(h=hours, m=minutes)) == micros(naive - shift)


@given(st.dates())
def test_reads_a_bare_date_as_its_midnight(date: datetime) -> None:
    assert _native.parse_timestamp(date.isoformat()) == micros(datetime(date.year, date.month, date.day))


@st.composite
def nearly_timestamps(draw: st.DrawFn) -> str:
    """A timestamp in which one character was replaced, dropped or added: some are valid, and some are not."""
    text = draw(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30))).isoformat()
    text += draw(st.sampled_from(["", "Z", "+05:30", "-23:59"]))
    index = draw(st.integers(0, len(text)))
    middle = draw(st.sampled_from(["", *"0123456789-+:.,TZtz W/"]))
    return text[:index] + middle + text[index + draw(st.integers(0, 1)) :]


@given(nearly_timestamps())
def test_never_reads_what_python_would_read_as_another_time(text: str) -> None:
    ours = _native.parse_timestamp(text)
    try:
        theirs = datetime.fromisoformat(text)
    except ValueError:
        return  # we read more formats than some supported Pythons
    # Python also reads week dates and the basic format, which no database of ours contains.
    if ours is not None:
        assert ours == micros(theirs)


def test_some_texts_of_that_comparison_are_read_by_both() -> None:
    def is_read_by_both(text: str) -> bool:
        try:
            datetime.fromisoformat(text)
        except ValueError:
            return False
        return _native.parse_timestamp(text) is not None

    find(nearly_timestamps(), is_read_by_both)  # raises where there is none


@given(st.text(max_size=40))
def test_reads_nothing_from_any_text_without_a_date(text: str) -> None:
    if not re.match(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
        assert _native.parse_timestamp(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026",
        "2026-02",
        "2026-02-30",
        "2025-02-29",
        "2026-13-01",
        "0000-01-01",
        "2026-00-10",
        "2026-02-10T",
        "2026-02-10T24:01:00",
        "2026-02-10T12:60:00",
        "2026-02-10T12",
        "2026-02-10T12:00:61",
        "2026-02-10T12:00:00.",
        "2026-02-10T12:00:00+",
        "2026-02-10T12:00:00+25:00",
        "2026-02-10T12:00:00 Z",
        " 2026-02-10",
        "2026-02-10 ",
        "2026-02-10T12:00:00Zz",
        "\uff12026-02-10",
        "yesterday",
        "1700000000",
    ],
)
def test_rejects_what_is_not_a_timestamp(text: str) -> None:
    assert _native.parse_timestamp(text) is None


@given(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)))
def test_writes_the_form_of_the_wire(moment: datetime) -> None:
    written = _native.format_timestamp(micros(moment))
    assert written == moment.isoformat(timespec="seconds") + "Z"
    assert _native.parse_timestamp(written) == micros(moment.replace(microsecond=0))
