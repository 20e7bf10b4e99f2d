//! How the program is linked: so that it starts fast. `devctl config` is done in a millisecond or two, which is what starting takes.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = |what: &str| std::env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default();
    if target("OS") != "linux" {
        return;
    }
    // A program that may stand at any address has every pointer in its tables put right when it starts: 40,000 of them, half of the
    // time that `devctl config` takes. Libraries, heap and stack are placed at random all the same.
    println!("cargo::rustc-link-arg-bins=-no-pie");
    // The unwinder as a part of the program is a library less to find, map and initialise. Every GCC brings it.
    if target("ENV") == "gnu" && has_static_unwinder() {
        println!("cargo::rustc-link-lib=static:-bundle=gcc_eh");
    }
}

fn has_static_unwinder() -> bool {
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let found = Command::new(compiler).arg("-print-file-name=libgcc_eh.a").output();
    // A compiler that has none gives the bare name back.
    found.is_ok_and(|found| Path::new(String::from_utf8_lossy(&found.stdout).trim()).is_absolute())
}
