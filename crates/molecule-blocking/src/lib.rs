//! Blocking SDK for Molecule AI remote agents, on ureq.
