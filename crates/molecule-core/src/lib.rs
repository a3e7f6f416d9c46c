//! State machines of a Molecule AI remote agent: they decide and never perform.
