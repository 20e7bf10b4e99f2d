//! A listener per consumer and provider: hold, swap, faults, capture.
