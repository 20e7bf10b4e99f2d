//! Contracts: index, stub, verification, reports.
