//! Tells pact_consumer to report nothing of its use: Cargo hands this to the tests that it runs.

fn main() {
    println!("cargo::rustc-env=PACT_DO_NOT_TRACK=true");
    println!("cargo::rerun-if-changed=build.rs");
}
