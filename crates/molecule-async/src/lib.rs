//! Async SDK for Molecule AI remote agents, on hyper and tokio.
