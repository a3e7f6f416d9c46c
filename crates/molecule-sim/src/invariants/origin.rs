//! Where credentials go.

use super::{Invariant, Known};
use crate::agent::ORIGIN;
use crate::job::JobKind;
use crate::seen::{Seen, Sight};
use crate::weather::Route;
use crate::world::ADMIN;

/// See [`Invariant::sentence`].
#[derive(Debug)]
pub(crate) struct BearerStaysAtHome;

impl Invariant for BearerStaysAtHome {
    fn name(&self) -> &'static str {
        "the bearer stays at home"
    }

    fn sentence(&self) -> &'static str {
        "every request goes to the platform's origin and to a route of its contract, and an administrator's credential to the \
         routes that it was given for alone"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &Known) -> Result<(), String> {
        let Seen::Asked(ask) = sight.seen else { return Ok(()) };
        if ask.origin != ORIGIN {
            return Err(format!("a request to {}", ask.origin));
        }
        let Some(route) = ask.route else { return Err(format!("no route: {}", ask.printed)) };
        let is_admin = ask.bearer.as_deref() == Some(ADMIN);
        let may = sight.who.kind == JobKind::Recover { admin: true } && matches!(route, Route::Rotate | Route::Mint);
        if is_admin && !may {
            return Err(format!("the administrator's credential in {}", ask.printed));
        }
        Ok(())
    }
}
