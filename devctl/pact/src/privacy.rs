//! Keeps the pact crates quiet: they post usage metrics unless `PACT_DO_NOT_TRACK` is set, and fetch plugins that a
//! pact names. What this crate calls itself does neither; a binary that links the pact crates' mock server as well
//! calls [`opt_out`] first.

use std::env;

/// The variable that the pact crates read.
pub const DO_NOT_TRACK: &str = "PACT_DO_NOT_TRACK";

/// Whether the pact crates were told to report nothing.
pub fn is_opted_out() -> bool {
    env::var(DO_NOT_TRACK).is_ok_and(|value| matches!(value.to_lowercase().as_str(), "true" | "1" | "yes"))
}

/// Tells the pact crates of this process to report nothing, and plugin drivers to look nowhere for plugins.
///
/// # Safety
///
/// Changes the process's environment: call it before any other thread exists, as the first thing in `main`.
#[expect(
    unsafe_code,
    reason = "`set_var` is unsafe since edition 2024 and there is no other way to opt out"
)]
pub unsafe fn opt_out() {
    // SAFETY: the caller promises that no other thread reads or writes the environment.
    unsafe {
        env::set_var(DO_NOT_TRACK, "true");
        if env::var_os("PACT_PLUGIN_DIR").is_none() {
            env::set_var("PACT_PLUGIN_DIR", "/nonexistent/devctl-runs-no-plugins");
        }
    }
}
