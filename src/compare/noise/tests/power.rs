//! Defects that have to be found in every run, with noise that can hide them; and what is not claimed.

use super::*;

const RUNS: u64 = 20;

/// Each of 20 runs calls the field suspicious within so many pairs.
fn found_within(pairs: u64, chance: Chance, defect: (Defect, f64)) {
    for seed in 0..RUNS {
        let mut watched = Watched::new(World::new(seed, chance, Some(defect)));
        let states = watched.run(pairs);
        assert_eq!(
            states.last(),
            Some(&State::Suspicious),
            "{chance:?}, {defect:?}, seed {seed}: {:?}",
            watched.noise.reports(watched.now())
        );
    }
}

#[test]
fn a_defect_in_a_thousandth_of_the_pairs_of_a_clean_field_is_found() {
    found_within(60_000, Chance::Never, (Defect::AsNoise, 0.001));
    found_within(60_000, Chance::Never, (Defect::Null, 0.001));
}

#[test]
fn a_defect_out_of_shape_is_found_on_any_noise_of_high_entropy() {
    for share in [0.05, 0.5, 0.99] {
        found_within(60_000, Chance::Invents(share), (Defect::Null, 0.001));
    }
}

#[test]
fn a_defect_that_looks_like_noise_in_a_twentieth_of_the_pairs_is_found() {
    found_within(200_000, Chance::Flips(0.05), (Defect::AsNoise, 0.0012));
    found_within(170_000, Chance::Wavers(0.05), (Defect::AsNoise, 0.0012));
}

#[test]
fn a_defect_that_looks_like_noise_in_a_tenth_of_the_pairs_is_found() {
    found_within(200_000, Chance::Flips(0.1), (Defect::AsNoise, 0.0075));
    found_within(200_000, Chance::Wavers(0.1), (Defect::AsNoise, 0.0075));
}

#[test]
fn a_defect_that_looks_like_noise_in_a_fifth_of_the_pairs_is_found() {
    found_within(200_000, Chance::Flips(0.2), (Defect::AsNoise, 0.04));
    found_within(200_000, Chance::Wavers(0.2), (Defect::AsNoise, 0.04));
    found_within(200_000, Chance::Swaps(0.2), (Defect::AsNoise, 0.04));
}

/// The states that a field without a defect has on the way.
fn states(seed: u64, chance: Chance, pairs: u64) -> Watched {
    let mut watched = Watched::new(World::new(seed, chance, None));
    for state in watched.run(pairs) {
        watched_states(&chance, state, seed);
    }
    watched
}

fn watched_states(chance: &Chance, state: State, seed: u64) {
    let allowed: &[State] = match chance {
        Chance::Invents(share) if *share > 0.95 => &[State::Undecided, State::Blind],
        Chance::Flips(share) | Chance::Wavers(share) if *share >= 0.5 => &[State::Undecided],
        Chance::Never
        | Chance::Flips(_)
        | Chance::Wavers(_)
        | Chance::Invents(_)
        | Chance::Swaps(_) => &[State::Undecided, State::Noisy, State::Clean],
    };
    assert!(
        allowed.contains(&state),
        "{chance:?}, seed {seed}: {state:?}"
    );
}

#[test]
fn half_noise_is_undecided() {
    for seed in 0..RUNS {
        for chance in [Chance::Flips(0.5), Chance::Wavers(0.5)] {
            let watched = states(seed, chance, 40_000);
            assert_eq!(watched.state(), State::Undecided);
            assert_eq!(watched.explained, 0, "what is undecided explains nothing");
        }
    }
}

#[test]
fn what_is_never_the_same_is_blind_and_never_called_fine() {
    for seed in 0..RUNS {
        let watched = states(seed, Chance::Invents(0.999), 40_000);
        assert_eq!(watched.state(), State::Blind, "seed {seed}");
        let share = watched.explained as f64 / watched.mismatches as f64;
        assert!(share > 0.85, "noise explains what is in shape: {share}");
    }
}

#[test]
fn noise_is_noisy_and_explains_itself() {
    for seed in 0..RUNS {
        for chance in [
            Chance::Flips(0.05),
            Chance::Wavers(0.1),
            Chance::Invents(0.2),
        ] {
            let watched = states(seed, chance, 60_000);
            assert_eq!(watched.state(), State::Noisy, "{chance:?}, seed {seed}");
            let share = watched.explained as f64 / watched.mismatches as f64;
            assert!(share > 0.7, "{chance:?}, seed {seed}: {share}");
        }
    }
}

#[test]
fn noise_explains_no_value_that_old_never_had() {
    let watched = states(1, Chance::Invents(0.2), 60_000);
    let explains = |seen| {
        let found = difference(watched.path, [text(USUAL), seen]);
        watched.noise.explains(&found, watched.now())
    };
    assert!(explains(text(77)), "another value of the same shape");
    assert!(!explains(NULL), "what noise never does");
}
