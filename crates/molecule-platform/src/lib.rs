//! The Molecule AI platform in memory: a test double for remote agents, in both dialects of the server.
