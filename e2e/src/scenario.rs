//! The [`scenario!`] macro: one body, a test for each facade and dialect.

use molecule_platform::{Config, Dialect};

use crate::facade::Facade;
use crate::world::World;

/// The facade and the dialect of one run of a scenario.
#[derive(Debug, Clone, Copy)]
pub struct Stage {
    /// The facade of the agents.
    pub facade: Facade,
    /// The server that the platform imitates.
    pub dialect: Dialect,
}

impl Stage {
    /// A platform in development mode, without an administrator, a provisioner or a rate limit.
    pub fn world(self) -> World {
        self.world_with(|_| {})
    }

    /// A platform with another configuration.
    pub fn world_with(self, change: impl FnOnce(&mut Config)) -> World {
        let mut config = Config::new(self.dialect);
        change(&mut config);
        World::new(self.facade, config)
    }
}

/// Generates a test of a scenario for each facade against each of the dialects named: `scenario!(name, [April,
/// Current], |stage| { … })` generates `name::april::blocking` and three more. A trailing `async only` before the body
/// leaves the blocking facade out.
#[macro_export]
macro_rules! scenario {
    ($name:ident, [$($dialect:ident),+], |$stage:ident| $body:block) => {
        $crate::scenario!(@body $name, $stage, $body);
        mod $name {
            $($crate::scenario!(@dialect $dialect, $name, [blocking Blocking, asynchronous Async]);)+
        }
    };
    ($name:ident, [$($dialect:ident),+], async only, |$stage:ident| $body:block) => {
        $crate::scenario!(@body $name, $stage, $body);
        mod $name {
            $($crate::scenario!(@dialect $dialect, $name, [asynchronous Async]);)+
        }
    };
    (@body $name:ident, $stage:ident, $body:block) => {
        fn $name($stage: $crate::Stage) $body
    };
    (@dialect April, $name:ident, $facades:tt) => {
        mod april { $crate::scenario!(@tests April, $name, $facades); }
    };
    (@dialect Current, $name:ident, $facades:tt) => {
        mod current { $crate::scenario!(@tests Current, $name, $facades); }
    };
    (@tests $dialect:ident, $name:ident, [$($test:ident $facade:ident),+]) => {
        $(#[test]
        fn $test() {
            super::super::$name($crate::Stage {
                facade: $crate::Facade::$facade,
                dialect: $crate::platform::Dialect::$dialect,
            });
        })+
    };
}
