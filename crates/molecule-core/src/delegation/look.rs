//! The queries of delegations.

use super::fold::fold;
use super::view::DelegationView;
use crate::call::Call;
use crate::endpoint::{DelegationRows, Endpoint};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::flow::{Flow, Line, Parting, machine_of_flow};

/// Asks for the delegations that this agent sent or, if the platform keeps a ledger, received: `GET
/// /workspaces/:self/delegations` (contract section 14.2; April 8.2). The newest 50 rows are merged to one
/// [`DelegationView`] of each delegation, the newest first. Rows that cannot be decoded are left out with a warning.
#[derive(Debug)]
#[must_use = "a machine does nothing until it is driven"]
pub struct Delegations(Flow<Result<Vec<DelegationView>>>);

impl Delegations {
    /// Asks for all delegations in the newest rows.
    pub fn newest() -> Self {
        Self(Flow::new(DelegationRows::OPERATION, |line| async move {
            line.check()?;
            look(&line, Call::new(DelegationRows)).await
        }))
    }
}

machine_of_flow!(Delegations, Result<Vec<DelegationView>>);

/// Asks for one delegation; `NotFound` if the newest rows do not show it.
#[derive(Debug)]
#[must_use = "a machine does nothing until it is driven"]
pub struct DelegationOf(Flow<Result<DelegationView>>);

impl DelegationOf {
    /// Asks for the delegation of this id.
    pub fn new(id: impl AsRef<str>) -> Self {
        let id = id.as_ref().to_owned();
        Self(Flow::new(DelegationRows::OPERATION, |line| async move {
            line.check()?;
            find(&look(&line, Call::new(DelegationRows)).await?, &id)
        }))
    }
}

machine_of_flow!(DelegationOf, Result<DelegationView>);

/// Returns the delegations from the answer of this call.
pub(super) async fn look(line: &Line, call: Call<DelegationRows>) -> Result<Vec<DelegationView>> {
    let list = line.run("list the delegations", call, Parting::give_up()).await?;
    if list.skipped > 0 {
        let rows = list.skipped;
        line.tell(Event::Warning(format!("the list of delegations has {rows} entries that make no sense")));
    }
    Ok(fold(list.rows))
}

/// Returns the delegation of this id.
pub(super) fn find(views: &[DelegationView], id: &str) -> Result<DelegationView> {
    views.iter().find(|view| view.id == id).cloned().ok_or_else(|| {
        let cause = format!("there is no delegation {id:?} among the newest 50 rows");
        Error::new(ErrorKind::NotFound, "look at a delegation", cause)
            .remedy("check the id that delegate gave; newer delegations may have pushed it out of the list")
    })
}
