//! Link settings of the addon.

fn main() {
    // Among them, with glibc, `-z nodelete`: Node unloads an addon when the last worker thread that loaded it ends,
    // but our own threads may be waiting in the kernel just then, and their code must stay mapped.
    napi_build::setup();
}
