//! The plan and the engine of devctl: pure, told the time, returns what to do.
