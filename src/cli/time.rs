//! Times and spans of time, as people write them.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Timestamp, Zoned};

/// The longest time that can be asked for.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// How long: `90s`, `10m`, `1h 30m`, `3d`; a day has 24 hours.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let span = text.parse::<Span>().ok();
    let time = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
    let time = time.and_then(|time| Duration::try_from(time).ok());
    time.filter(|time| !time.is_zero() && *time <= LONGEST)
        .ok_or_else(|| "expected a time such as 90s, 10m, 2h or 3d, at most 365d".to_owned())
}

/// A time as people are told it: that of here, to the second.
pub(super) fn of_here(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Since when: a time, a day or a time of here, or how long ago that was.
pub(super) fn since(text: &str) -> Result<Timestamp, String> {
    since_in(text, &Zoned::now())
}

/// The same, as it is meant by somebody at this time in this zone.
fn since_in(text: &str, now: &Zoned) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    let zone: &TimeZone = now.time_zone();
    let at = match (text.parse::<DateTime>(), text.parse::<Span>()) {
        (Ok(of_here), _) => of_here.to_zoned(zone.clone()),
        // "3 days ago" is as long ago as "3 days".
        (_, Ok(ago)) => now.checked_sub(ago.abs()),
        _ => return Err("expected a time such as 2026-01-31T12:00:00Z, 2026-01-31 or \"2026-01-31 12:00\" (of here), or 10m, 2h, 3d".to_owned()),
    };
    at.map(|at| at.timestamp()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_of_time_is_written_as_people_write_it() {
        let day = 86_400;
        let known = [
            ("90s", 90),
            ("10m", 600),
            ("2h", 7200),
            ("1h 30m", 5400),
            ("1d", day),
            ("1d2h", day + 7200),
            ("1 day", day),
            ("1w", 7 * day),
            ("365d", 365 * day),
            ("8760h", 365 * day),
        ];
        for (text, secs) in known {
            assert_eq!(duration(text), Ok(Duration::from_secs(secs)), "{text}");
        }
        assert_eq!(duration("50ms"), Ok(Duration::from_millis(50)));
        for text in ["", "10", "soon", "0s", "-5m", "366d", "8761h", "2mo", "99999999999999999999h"] {
            assert!(duration(text).unwrap_err().contains("3d"), "{text}");
        }
    }

    #[test]
    fn a_time_is_given_or_a_time_of_here_or_how_long_ago_it_was() {
        // The clocks of this zone went back on the day before.
        let now: Zoned = "2026-10-26T12:00[Europe/Berlin]".parse().unwrap();
        let known = [
            ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z"),
            ("2026-01-31T12:00:00+01:00", "2026-01-31T11:00:00Z"),
            ("2026-01-31", "2026-01-30T23:00:00Z"),
            ("2026-01-31 12:00", "2026-01-31T11:00:00Z"),
            ("2026-01-31T12:00", "2026-01-31T11:00:00Z"),
            ("10m", "2026-10-26T10:50:00Z"),
            ("24h", "2026-10-25T11:00:00Z"),
            ("1d", "2026-10-25T11:00:00Z"),
            ("3d", "2026-10-23T10:00:00Z"),
            ("3 days ago", "2026-10-23T10:00:00Z"),
            ("1d2h", "2026-10-25T09:00:00Z"),
            ("1w", "2026-10-19T10:00:00Z"),
            ("1mo", "2026-09-26T10:00:00Z"),
        ];
        for (text, at) in known {
            assert_eq!(since_in(text, &now).map(|at| at.to_string()), Ok(at.to_owned()), "{text}");
        }
        for text in ["yesterday", "", "2026-13-01", "10"] {
            assert!(since_in(text, &now).unwrap_err().contains("3d"), "{text}");
        }
        assert!(since_in("99999y", &now).is_err());
    }
}
