//! Values of `ln E` that were computed by others: exactly, as sums of binomial coefficients in rational numbers, and with 60 digits.

use super::*;
use proptest::prelude::*;

fn check(aligned: u64, crossed: u64, expected: f64) {
    let found = log_e(aligned, crossed);
    let error = (found - expected).abs();
    assert!(
        error <= 1e-11 + expected.abs() * 1e-13,
        "ln E of {aligned} and {crossed}: {found}, not {expected}"
    );
}

/// Python's `fractions` and `decimal`: the sum of C(n + 1, k) for k up to A, over (n + 1) C(n, A).
#[test]
fn small_counts_are_right() {
    check(0, 0, 0.0);
    check(1, 0, 0.405_465_108_108_164_4);
    check(0, 1, -LN_2);
    check(2, 0, 0.847_297_860_387_203_6);
    check(1, 1, -0.405_465_108_108_164_4);
    check(3, 2, -0.356_674_943_938_732_4);
    check(10, 0, 5.226_235_312_862_919);
    check(29, 0, 17.393_218_034_204_88);
    check(0, 29, -3.401_197_381_662_155_5);
    check(28, 1, 14.025_922_176_278_73);
    check(60, 0, 38.171_104_149_983_35);
    check(60, 5, 25.631_137_588_846_634);
    check(5, 60, -4.028_360_670_969_341);
    check(100, 100, -2.427_104_877_348_507);
    check(130, 70, 7.359_150_003_293_523);
    check(70, 130, -4.144_156_499_255_083);
    check(500, 400, 3.077_318_181_964_245);
    check(1_000, 1_000, -3.575_034_752_173_173);
    check(1_200, 800, 37.368_735_476_947_36);
    check(3_000, 1, 2_064.814_101_183_322_2);
    check(5_000, 5_200, -5.471_963_646_326_537);
    check(5_200, 5_000, -1.759_615_482_701_884);
    check(0, 2_000, -7.601_402_334_583_733);
    check(2_000, 0, 1_379.386_105_965_866_8);
}

#[test]
fn a_mean_of_e_values_counts_those_that_are_missing() {
    for (values, of, mean) in [
        (&[][..], 16, 1.0),
        (&[4.0], 4, 1.75),
        (&[0.25, 0.5, 3.0], 3, 1.25),
        (&[1e300, 1e300, 1.0], 4, 5e299),
    ] {
        let logs: Vec<_> = values.iter().copied().map(f64::ln).collect();
        let found = log_mean(&logs, of);
        assert!(
            (found - f64::ln(mean)).abs() < 1e-12,
            "{values:?} of {of}: {found}"
        );
    }
}

/// mpmath with 60 digits.
#[test]
fn counts_to_ten_million_are_right() {
    check(50_000, 50_000, -5.530_678_879_790_387);
    check(50_500, 49_500, 0.161_718_648_938_37);
    check(49_000, 51_000, -7.624_504_901_735_813);
    check(500_000, 500_000, -6.681_964_676_336_91);
    check(502_000, 498_000, 2.011_164_166_292_362);
    check(5_000_000, 5_000_000, -7.833_256_547_834_427);
    check(5_005_000, 4_995_000, -2.140_892_041_327_813);
    check(4_995_000, 5_005_000, -9.292_868_940_158_641);
    check(5_010_000, 4_990_000, 12.859_901_965_949_337);
    check(6_000_000, 4_000_000, 201_347.974_986_525_6);
    check(9_999_999, 1, 6_931_440.262_555_231);
    check(1, 9_999_999, -16.118_095_550_958_333);
    check(10_000_000, 0, 6_931_456.380_650_883);
}

/// The sum itself, in floats, for counts whose coefficients fit them.
fn by_sum(aligned: u64, crossed: u64) -> f64 {
    let choose = |n: u64, k: u64| (0..k).fold(1.0, |c, i| c * (n - i) as f64 / (i + 1) as f64);
    let n = aligned + crossed;
    let sum: f64 = (0..=aligned).map(|k| choose(n + 1, k)).sum();
    (sum / ((n + 1) as f64 * choose(n, aligned))).ln()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn it_is_the_sum(aligned in 0_u64..400, crossed in 0_u64..400) {
        let (found, expected) = (log_e(aligned, crossed), by_sum(aligned, crossed));
        prop_assert!((found - expected).abs() < 1e-9, "{} {}", found, expected);
    }

    /// A martingale under fair coins: what is to come is on the average what there is.
    #[test]
    fn a_fair_coin_wins_nothing(aligned in 0_u64..5_000, crossed in 0_u64..5_000) {
        let now = log_e(aligned, crossed);
        let next = (log_e(aligned + 1, crossed) - now).exp() + (log_e(aligned, crossed + 1) - now).exp();
        prop_assert!((next - 2.0).abs() < 1e-9, "{}", next);
    }

    #[test]
    fn the_bound_holds(aligned in 0_u64..1_000_000, crossed in 0_u64..1_000_000) {
        prop_assert!(log_e(aligned, crossed) <= log_e_bound(aligned, crossed) + 1e-9);
    }
}
