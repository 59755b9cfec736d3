//! Properties that are checked with generated cases.
//!
//! `LOCKET_FUZZ_RUNS` is the number of cases of each. A failure prints its `LOCKET_FUZZ_SEED`; with that the same cases are
//! checked again.

use std::env;
use std::fmt::Debug;
use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};

/// The default number of cases: a second's worth.
const RUNS: u32 = 100;

/// Checks the property with generated cases.
pub(crate) fn check<S: Strategy>(cases: S, property: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let seed = from_env("LOCKET_FUZZ_SEED").unwrap_or_else(any_number);
    // Shown only if the test fails.
    println!("LOCKET_FUZZ_SEED={seed}");
    let config = Config {
        cases: from_env("LOCKET_FUZZ_RUNS").unwrap_or(RUNS),
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..Config::default()
    };
    if let Err(failure) = TestRunner::new(config).run(&cases, property) {
        panic!("{failure}");
    }
}

fn from_env<T: FromStr<Err: Debug>>(name: &str) -> Option<T> {
    Some(env::var(name).ok()?.parse().unwrap_or_else(|error| panic!("{name} is no number: {error:?}")))
}

/// Returns another number each time: the hashers of the standard library have random keys.
fn any_number() -> u64 {
    RandomState::new().hash_one(0)
}
