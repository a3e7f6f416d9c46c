//! Wire types of the Molecule AI platform: validated ids, paths, headers, secrets and message shapes, without behaviour.
