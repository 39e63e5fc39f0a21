//! How much outcomes speak against chance: the e-value of aligned against crossed.
//!
//! Were the two sides exchangeable, a mismatch that was asked again would be aligned or crossed with equal chance, whatever came before. Against that
//! stands that the chance p of aligned is greater; with p spread evenly over (1/2, 1) the ratio of the likelihoods is
//!
//! ```text
//! E = 2 ∫ (2p)^A (2(1 - p))^C dp      over p from 1/2 to 1, with A aligned and C crossed
//! ```
//!
//! or `ln E = (n + 1) ln 2 + ln B(A + 1, C + 1) + ln(1 - I_half(A + 1, C + 1))` with n = A + C and the regularised incomplete beta function I. Under
//! exchangeability E is a martingale that begins at 1, so that it ever reaches x with a chance of at most 1/x: one may look at it as often as one likes.

use std::f64::consts::{LN_2, TAU};

/// `ln E` of so many aligned and crossed outcomes, right to about 1e-12 of itself for up to 10^7 of them and more.
#[must_use]
pub fn log_e(aligned: u64, crossed: u64) -> f64 {
    // B(A + 1, C + 1) is 1 / ((n + 1) choose(n, A)), and 1 - I the chance that n + 1 fair coins show heads at most A times: the sum of choose(n + 1, k)
    // for k up to A, over (n + 1) choose(n, A).
    let n = aligned + crossed;
    if 2 * aligned < n + 1 {
        // Each term is smaller than the one above it, and the first one over the divisor is 1 / (C + 1).
        return (tail(n + 1, aligned) / (crossed + 1) as f64).ln();
    }
    // The terms that are missing, mirrored: k up to C of n + 1.
    let missing = log_fair(n + 1, crossed) + tail(n + 1, crossed).ln();
    LN_2 - ((n + 1) as f64).ln() - log_fair(n, aligned) + (-missing.exp()).ln_1p()
}

/// `ln E` is never above this, and it costs next to nothing: the likelihood ratio at the best p.
#[must_use]
pub fn log_e_bound(aligned: u64, crossed: u64) -> f64 {
    if aligned <= crossed {
        return 0.0;
    }
    let (a, c) = (aligned as f64, crossed as f64);
    let n = a + c;
    let of = |count: f64| {
        if count > 0.0 {
            count * (2.0 * count / n).ln()
        } else {
            0.0
        }
    };
    of(a) + of(c)
}

/// ln of the mean of several e-values, of which these are the logarithms; what is missing of so many is 1. Such a mean is an e-value, whatever they
/// have to do with each other.
#[must_use]
pub fn log_mean(logs: &[f64], of: usize) -> f64 {
    let most = logs.iter().copied().fold(0.0, f64::max);
    let missing = (of - logs.len()) as f64 * (-most).exp();
    let sum = logs.iter().map(|log| (log - most).exp()).sum::<f64>() + missing;
    most + (sum / of as f64).ln()
}

/// ln of the chance that `n` fair coins show exactly `k` heads, by C. Loader's saddle point: the large terms cancel before they are computed, not after.
fn log_fair(n: u64, k: u64) -> f64 {
    let (total, heads, tails) = (n as f64, k as f64, (n - k) as f64);
    if k == 0 || k == n {
        return -total * LN_2;
    }
    let half = total / 2.0;
    stirling_rest(total)
        - stirling_rest(heads)
        - stirling_rest(tails)
        - deviance(heads, half)
        - deviance(tails, half)
        + 0.5 * (total / (TAU * heads * tails)).ln()
}

/// The sum of choose(m, k), choose(m, k - 1), .., in units of the first: 2k < m, so that they shrink.
fn tail(m: u64, k: u64) -> f64 {
    let (mut term, mut sum) = (1.0_f64, 1.0_f64);
    let m = m as f64;
    let mut heads = k as f64;
    while heads > 0.0 {
        term *= heads / (m - heads + 1.0);
        sum += term;
        if term < sum * 1e-17 {
            break;
        }
        heads -= 1.0;
    }
    sum
}

/// ln n! less Stirling's formula.
fn stirling_rest(n: f64) -> f64 {
    const FEW: usize = 16;
    if n < FEW as f64 {
        // ln n! is a sum of a few logarithms, none of which cancels.
        let factorial: f64 = (2..=n as u32).map(f64::from).map(f64::ln).sum();
        return factorial - ((n + 0.5) * n.ln() - n + 0.5 * TAU.ln());
    }
    let square = n * n;
    (1.0 / 12.0
        - (1.0 / 360.0 - (1.0 / 1260.0 - (1.0 / 1680.0 - 1.0 / 1188.0 / square) / square) / square)
            / square)
        / n
}

/// x ln(x / mean) + mean - x, also where the two are near.
fn deviance(x: f64, mean: f64) -> f64 {
    let difference = x - mean;
    if difference.abs() < 0.1 * (x + mean) {
        let v = difference / (x + mean);
        let mut sum = difference * v;
        let mut term = 2.0 * x * v;
        let square = v * v;
        for odd in 1_u32.. {
            term *= square;
            let next = sum + term / f64::from(2 * odd + 1);
            if next.to_bits() == sum.to_bits() {
                break;
            }
            sum = next;
        }
        return sum;
    }
    x * (x / mean).ln() + mean - x
}

#[cfg(test)]
mod tests;
