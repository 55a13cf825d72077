//! What many durations come to, and one count as a part of another.

use schemars::JsonSchema;
use serde::Serialize;

/// Durations of one kind, in milliseconds; the numbers are null where there are none.
///
/// A percentile is the nearest rank: of `n` durations in ascending order, `p` is the one at
/// place ⌈p × n ÷ 100⌉, counted from 1. So it is always a duration that was there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Spread {
    pub count: u64,
    pub total_ms: u64,
    /// Half a millisecond is rounded up.
    pub mean_ms: Option<u64>,
    pub p50_ms: Option<u64>,
    pub p85_ms: Option<u64>,
    pub p95_ms: Option<u64>,
    pub max_ms: Option<u64>,
}

impl Spread {
    /// Of these durations, in any order.
    #[must_use]
    pub fn of(mut durations: Vec<u64>) -> Self {
        durations.sort_unstable();
        let count = durations.len() as u64;
        let total = durations.iter().sum::<u64>();
        Self {
            count,
            total_ms: total,
            mean_ms: (count > 0).then(|| divided(u128::from(total), u128::from(count))),
            p50_ms: percentile(&durations, 50),
            p85_ms: percentile(&durations, 85),
            p95_ms: percentile(&durations, 95),
            max_ms: durations.last().copied(),
        }
    }
}

/// The nearest rank, of ascending durations.
fn percentile(sorted: &[u64], percent: usize) -> Option<u64> {
    let rank = (percent * sorted.len()).div_ceil(100);
    rank.checked_sub(1).and_then(|at| sorted.get(at)).copied()
}

/// One count as a part of another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ratio {
    pub count: u64,
    pub of: u64,
    /// Hundredths of a percent, a half rounded up; null where there is nothing to be a part of.
    pub basis_points: Option<u64>,
}

impl Ratio {
    /// `count` of `of`.
    #[must_use]
    pub fn new(count: u64, of: u64) -> Self {
        let basis_points = (of > 0).then(|| divided(u128::from(count) * 10_000, u128::from(of)));
        Self { count, of, basis_points }
    }
}

/// A quotient, a half rounded up.
pub(super) fn divided(dividend: u128, divisor: u128) -> u64 {
    u64::try_from((dividend * 2 + divisor) / (divisor * 2)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_nearest_rank() {
        let spread = Spread::of(vec![40, 10, 30, 20]);
        assert_eq!((spread.count, spread.total_ms, spread.mean_ms), (4, 100, Some(25)));
        // 50 of 4: place 2. 85 of 4: place 3.4, so 4. 95 of 4: place 3.8, so 4.
        assert_eq!((spread.p50_ms, spread.p85_ms, spread.p95_ms), (Some(20), Some(40), Some(40)));
        let twenty = Spread::of((1..=20).collect());
        assert_eq!((twenty.p50_ms, twenty.p85_ms, twenty.p95_ms), (Some(10), Some(17), Some(19)));
        assert_eq!(Spread::of(vec![7]).p95_ms, Some(7));
        assert_eq!(Spread::of(Vec::new()), Spread::default());
    }

    #[test]
    fn a_half_is_rounded_up() {
        assert_eq!(Spread::of(vec![1, 2]).mean_ms, Some(2));
        assert_eq!(Spread::of(vec![1, 1, 2]).mean_ms, Some(1));
        assert_eq!(Ratio::new(1, 3).basis_points, Some(3_333));
        assert_eq!(Ratio::new(2, 3).basis_points, Some(6_667));
        assert_eq!(Ratio::new(1, 20_000).basis_points, Some(1));
        assert_eq!(Ratio::new(0, 0).basis_points, None);
        assert_eq!(Ratio::new(u64::MAX, u64::MAX).basis_points, Some(10_000));
    }
}
