//! What the fuzzing programs have in common. Their checks are in `src/fuzz` of the crate beside this one.

pub use libfuzzer_sys;
pub use syncline;

/// A program that gives what a fuzzer makes up to the check of this name.
#[macro_export]
macro_rules! program {
    ($name:literal) => {
        static CHECK: std::sync::OnceLock<fn(&[u8])> = std::sync::OnceLock::new();

        $crate::libfuzzer_sys::fuzz_target!(
            init: {
                CHECK.get_or_init(|| $crate::syncline::fuzz::begin($name));
            },
            |bytes: &[u8]| CHECK.get().expect("it has begun")(bytes)
        );
    };
}
