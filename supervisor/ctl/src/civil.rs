// SPDX-License-Identifier: MIT OR Apache-2.0
//! The calendar: days since 1970-01-01 and dates, in UTC.

/// A day of the proleptic Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Date {
    pub(crate) year: i64,
    /// 1 to 12.
    pub(crate) month: i64,
    /// 1 to 31.
    pub(crate) day: i64,
}

/// Days in 400 years.
const ERA: i64 = 146_097;
/// From 0000-03-01, where the counting below begins, to 1970-01-01.
const EPOCH: i64 = 719_468;

impl Date {
    /// The date `days` after 1970-01-01.
    ///
    /// Years are counted from March, so that the leap day is the last of its year.
    pub(crate) fn from_days(days: i64) -> Self {
        let since = days.saturating_add(EPOCH);
        let era = since.div_euclid(ERA);
        let day_of_era = since.rem_euclid(ERA);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        Self {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month,
            day: day_of_year - (153 * march_month + 2) / 5 + 1,
        }
    }

    /// Days since 1970-01-01, if there is such a date in years of four digits.
    pub(crate) fn to_days(self) -> Option<i64> {
        if !(0..=9999).contains(&self.year)
            || !(1..=12).contains(&self.month)
            || !(1..=31).contains(&self.day)
        {
            return None;
        }
        let year = self.year - i64::from(self.month <= 2);
        let year_of_era = year.rem_euclid(400);
        let march_month = (self.month + 9) % 12;
        let day_of_year = (153 * march_month + 2) / 5 + self.day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = year.div_euclid(400) * ERA + day_of_era - EPOCH;
        (Self::from_days(days) == self).then_some(days)
    }
}

impl std::fmt::Display for Date {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_ten_centuries_has_its_date_and_the_next_one_follows() {
        let mut before = Date::from_days(-200_001);
        for days in -200_000..200_000 {
            let date = Date::from_days(days);
            assert_eq!(date.to_days(), Some(days));
            let next_day = date.day == before.day + 1 && date.month == before.month;
            let next_month = date.day == 1 && date.month == before.month % 12 + 1;
            assert!(next_day || next_month, "{before} then {date}");
            before = date;
        }
    }

    #[test]
    fn known_days_have_their_known_dates() {
        assert_eq!(Date::from_days(0).to_string(), "1970-01-01");
        assert_eq!(Date::from_days(19_782).to_string(), "2024-02-29");
        assert_eq!(Date::from_days(-25_509).to_string(), "1900-02-28");
        assert_eq!(Date::from_days(-25_508).to_string(), "1900-03-01");
    }

    #[test]
    fn a_day_that_does_not_exist_is_refused() {
        let date = |year, month, day| Date { year, month, day }.to_days();
        assert_eq!(date(2023, 2, 29), None);
        assert_eq!(date(2024, 4, 31), None);
        assert_eq!(date(2024, 13, 1), None);
        assert!(date(2024, 2, 29).is_some());
    }
}
