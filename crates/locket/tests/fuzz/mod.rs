//! Properties that are tried with generated cases.
//!
//! `LOCKET_FUZZ_RUNS`: with how many each. A failure says its `LOCKET_FUZZ_SEED`; who sets it tries the same cases again.
#![allow(dead_code, reason = "each test uses its part")]

pub mod texts;

use std::env;
use std::fmt::Debug;
use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};

/// How many cases are tried where nobody says it: a second's worth.
const RUNS: u32 = 100;

/// Tries the property with generated cases.
pub fn check<S: Strategy>(cases: S, property: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let seed = from_env("LOCKET_FUZZ_SEED").unwrap_or_else(any_number);
    // Shown if the test fails, and then only.
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

/// Another one each time: the hashers of the standard library have random keys.
fn any_number() -> u64 {
    RandomState::new().hash_one(0)
}
