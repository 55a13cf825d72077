#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    stepseal_fuzz::invariants::signature(bytes);
});
