//! The Node-API face of the core: arguments in, promises out, and the end of an environment.
//!
//! The only code that knows napi. What it is called with has been checked by `lib/`.

mod answer;
mod call;
mod environment;
mod functions;
mod handles;
mod mailbox;
mod outcome;
