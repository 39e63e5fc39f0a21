//! What two numbers have in common.

use crate::compare::change::traits::{Trait, Traits};

/// What was found.
pub(super) struct Numbers {
    pub(super) traits: Traits,
    /// How far two whole numbers are apart; 0 for others.
    pub(super) gap: u32,
    /// The power of ten that they are not further apart than.
    pub(super) decade: Option<i16>,
}

impl From<Traits> for Numbers {
    fn from(traits: Traits) -> Self {
        Self {
            traits,
            gap: 0,
            decade: None,
        }
    }
}

/// Units that people mix up: of money, of time, of memory.
const FACTORS: [f64; 9] = [10.0, 100.0, 1e3, 1e4, 1e6, 1e9, 60.0, 3_600.0, 1_024.0];

/// What two texts of numbers that differ have in common.
pub(super) fn traits(old: &str, new: &str) -> Numbers {
    let mut traits = Traits::default();
    let (Ok(a), Ok(b)) = (old.parse::<f64>(), new.parse::<f64>()) else {
        return traits.into();
    };
    let far = (a - b).abs();
    if !far.is_finite() {
        return traits.into();
    }
    let decade = (far > 0.0).then(|| far.log10().ceil() as i16);
    let whole = a.fract() == 0.0 && b.fract() == 0.0;
    if far <= a.abs().max(b.abs()) * 1e-9 {
        // 9007199254740993 is another number than 9007199254740992, and as a float it is not.
        traits.add_if(true, Trait::Precision);
        return Numbers {
            traits,
            gap: 0,
            decade,
        };
    }
    traits.add_if((far - 1.0).abs() < 1e-9, Trait::OffByOne);
    traits.add_if(a == -b, Trait::Sign);
    traits.add_if(b == 0.0, Trait::ToZero);
    traits.add_if(a == 0.0, Trait::FromZero);
    traits.add_if(
        is_rounded(old, new, far) || is_rounded(new, old, far),
        Trait::Rounding,
    );
    traits.add_if(is_scaled(a, b) || is_scaled(b, a), Trait::Scale);
    let gap = if whole {
        far.clamp(1.0, f64::from(u32::MAX)) as u32
    } else {
        0
    };
    Numbers {
        traits,
        gap,
        decade,
    }
}

/// Whether the second has fewer decimals, or more zeros at its end, and is the first one but for those digits.
fn is_rounded(fine: &str, coarse: &str, far: f64) -> bool {
    let (Some(fine), Some(coarse)) = (places(fine), places(coarse)) else {
        return false;
    };
    let is_near = |decimals: i32| far < 10_f64.powi(-decimals) * (1.0 + 1e-9);
    // 10 is 9.7 without its decimals; that 12 was rounded to tens would be a guess.
    let decimals = coarse.decimals.max(0);
    fine.decimals > decimals && is_near(decimals)
        || fine.decimals > coarse.decimals && coarse.digits > 1 && is_near(coarse.decimals)
}

/// How a number is written.
struct Places {
    /// Digits behind the point; negative for a whole number with zeros at its end.
    decimals: i32,
    /// Digits without zeros around them.
    digits: usize,
}

/// None for a number with an exponent.
fn places(text: &str) -> Option<Places> {
    let text = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction = fraction.trim_end_matches('0');
    if text.len() > 40
        || !text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
    {
        return None;
    }
    let count = |text: &str| i32::try_from(text.len()).unwrap_or(0);
    let kept = whole.trim_end_matches('0');
    let digits = format!("{whole}{fraction}");
    Some(Places {
        decimals: if !fraction.is_empty() || kept.is_empty() {
            count(fraction)
        } else {
            count(kept) - count(whole)
        },
        digits: digits.trim_matches('0').len(),
    })
}

/// Whether the second is the first times a unit; or a whole number of them.
fn is_scaled(small: f64, large: f64) -> bool {
    small != 0.0
        && FACTORS.iter().any(|&factor| {
            let off = (small * factor - large).abs();
            off <= large.abs() * 1e-9 || small.fract() == 0.0 && small.abs() >= 10.0 && off < factor
        })
}
