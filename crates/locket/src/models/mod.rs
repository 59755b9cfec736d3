//! Loom models: every interleaving of small cases, on the real engine.
