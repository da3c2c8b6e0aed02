//! Moments as people write them, in UTC.

/// `2026-11-29T14:06:09Z`.
pub(super) fn utc(ms: u64) -> String {
    let (year, month, day, of_day) = date(ms);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The same where `:` and `-` are in the way: `20261129T140609Z`.
pub(super) fn compact(ms: u64) -> String {
    utc(ms).replace(['-', ':'], "")
}

/// Year, month, day, and seconds of the day, of milliseconds since 1970.
///
/// Counted in years that begin in March, so that a leap day is a year's last
/// day; 400 of them have 146 097 days.
fn date(ms: u64) -> (u64, u64, u64, u64) {
    let (days, of_day) = (ms / 86_400_000, ms / 1_000 % 86_400);
    // From 0000-03-01 on.
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day, of_day)
}

#[cfg(test)]
mod tests {
    use super::{compact, utc};

    #[test]
    fn moments_are_written_as_the_calendar_has_them() {
        for (s, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_795_961_169, "2026-11-29T14:06:09Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(utc(s * 1_000 + 999), text);
        }
        assert_eq!(compact(1_795_961_169_000), "20261129T140609Z");
    }
}
