//! Link settings of the addon.

fn main() {
    if std::env::var_os("CARGO_FEATURE_BINDING").is_some() {
        napi_build::setup();
    }
    // Node unloads an addon when the last worker thread that loaded it ends. This one has threads
    // of its own, which may be waiting in the kernel just then: their code must stay mapped.
    // macOS never unloads a library with thread-locals; Windows is told at run time.
    if matches!(std::env::var("CARGO_CFG_TARGET_OS").as_deref(), Ok("linux" | "android" | "freebsd")) {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
