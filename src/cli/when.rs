//! Moments as people type them.

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};

use super::error::Failure;

/// A moment as typed: when it begins, and when it is over.
pub(super) fn moment(
    flag: &str,
    text: &str,
    latest: DateTime<Utc>,
) -> Result<(DateTime<Utc>, DateTime<Utc>), Failure> {
    let wrong = || {
        Failure::usage(format!(
            "{flag} is `{}`; it takes a date (2026-11-20), a time (2026-11-20T10:15:00Z) or a \
             duration (7d, 12h, 30m)",
            text.escape_debug()
        ))
    };
    if let Ok(date) = text.parse::<NaiveDate>() {
        let start = date.and_hms_opt(0, 0, 0).ok_or_else(wrong)?.and_utc();
        let end = start.checked_add_days(Days::new(1)).ok_or_else(wrong)?;
        return Ok((start, end));
    }
    // To the millisecond, as artifacts write it: a time given is still part of what is asked for.
    let and_after = |at: DateTime<Utc>| (at, at + TimeDelta::milliseconds(1));
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(and_after(at.with_timezone(&Utc)));
    }
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => return Err(wrong()),
    };
    let number: i64 = text[..text.len() - unit.len_utf8()].parse().map_err(|_| wrong())?;
    let back = number.checked_mul(seconds).filter(|back| *back >= 0).ok_or_else(wrong)?;
    let back = TimeDelta::try_seconds(back).ok_or_else(wrong)?;
    latest.checked_sub_signed(back).map(and_after).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_date_a_time_or_so_long_ago() {
        let latest: DateTime<Utc> = "2026-11-20T10:15:00Z".parse().expect("a time");
        let starts = |text: &str| moment("--since", text, latest).expect(text).0.to_rfc3339();
        let ends = |text: &str| moment("--until", text, latest).expect(text).1.to_rfc3339();
        assert_eq!(starts("2026-11-20"), "2026-11-20T00:00:00+00:00");
        assert_eq!(ends("2026-11-20"), "2026-11-21T00:00:00+00:00");
        assert_eq!(starts("2026-11-20T12:00:00+02:00"), "2026-11-20T10:00:00+00:00");
        assert_eq!(ends("2026-11-20T10:00:00Z"), "2026-11-20T10:00:00.001+00:00");
        assert_eq!(starts("7d"), "2026-11-13T10:15:00+00:00");
        assert_eq!(starts("90m"), "2026-11-20T08:45:00+00:00");
        assert_eq!(starts("2w"), "2026-11-06T10:15:00+00:00");
        assert_eq!(starts("0s"), "2026-11-20T10:15:00+00:00");
        for text in
            ["", "d", "-1d", "7", "7y", "yesterday", "99999999999999999w", "é", "2026-13-01"]
        {
            assert!(moment("--since", text, latest).is_err(), "{text}");
        }
    }
}
