//! How the program is linked.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // A program that may stand at any address has every pointer in its tables put right when it starts: 40,000 of them, half of the
    // time that `devctl config` takes. Libraries, heap and stack are placed at random all the same.
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
