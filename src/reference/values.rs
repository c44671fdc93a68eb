//! Values of limits, as people read them.

use std::time::Duration;

use crate::limits::{Limit, Value};

const DAY: Duration = Duration::from_hours(24);
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// The value with its unit; the unit of a count stands in the meaning of the limit.
pub(super) fn show(limit: &Limit) -> String {
    let is_size = limit.meaning.contains("in bytes") || limit.meaning.starts_with("Bytes");
    match &limit.value {
        Value::Number(number) if is_size => size(*number),
        Value::Number(number) => count(*number),
        Value::Period(time) => period(*time),
        Value::Steps(steps) => {
            let step = |(most, time): &(u64, Duration)| match *most {
                u64::MAX => format!("above: {}", period(*time)),
                most => format!("up to {}: {}", count(most), period(*time)),
            };
            steps.iter().map(step).collect::<Vec<_>>().join("; ")
        }
    }
}

fn size(bytes: u64) -> String {
    let unit = [(GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")].into_iter().find(|(unit, _)| {
        // Sizes that no unit fits are told to the byte.
        bytes >= *unit && bytes.is_multiple_of(*unit)
    });
    match unit {
        Some((unit, name)) => format!("{} {name}", count(bytes / unit)),
        None => format!("{} bytes", count(bytes)),
    }
}

/// A number with its digits in groups of three.
fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn period(time: Duration) -> String {
    if time > DAY {
        humantime::format_duration(time).to_string()
    } else if time == DAY {
        "24 h".to_owned()
    } else if time.subsec_millis() > 0 {
        format!("{} ms", time.as_millis())
    } else {
        format!("{} s", count(time.as_secs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_units() {
        assert_eq!(size(1 << 20), "1 MiB");
        assert_eq!(size(1_000), "1,000 bytes");
        assert_eq!(size(65_536), "64 KiB");
        assert_eq!(count(1 << 53), "9,007,199,254,740,992");
        assert_eq!(count(100), "100");
        assert_eq!(period(Duration::from_millis(2_500)), "2500 ms");
        assert_eq!(period(Duration::from_secs(3_600)), "3,600 s");
        assert_eq!(period(Duration::from_secs(86_400)), "24 h");
    }
}
