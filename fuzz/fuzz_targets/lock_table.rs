//! The readers of /proc, with all that libFuzzer comes upon.
#![no_main]

use libfuzzer_sys::fuzz_target;
use locket::fuzzing::read_lock_table;

fuzz_target!(|data: &[u8]| read_lock_table(data));
